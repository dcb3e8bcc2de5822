// What the page says, in English and Chinese.

const TEXTS = {
  en: {
    skip: "Skip to the picture",
    links: "Links",
    "other-language": "中文",
    picture: "Picture",
    lead: "Your photo, as a painter might see it",
    choose: "Choose a photo",
    camera: "Use the camera",
    paste: "Or drop one here, or paste it.",
    example: "Try an example",
    drop: "Let it go to paint it",
    after: "Your photo, painted",
    before: "Your photo",
    compare: "How much of the photo shows over the painting",
    another: "Another photo",
    enlarge: "Size",
    "enlarge-none": "As the photo",
    "enlarge-by": "{scale} times as large",
    "enlarge-not": "{scale} times: above {megapixels} megapixels",
    download: "Download",
    dials: "How it is painted",
    strength: "Strength",
    stroke_size: "Brush strokes",
    keep_colors: "Keep the photo's colours",
    second: "Blend with",
    "second-none": "No other style",
    share: "Share of the second style",
    styles: "Styles",
    promise: "Pictures go only to the computer that this page comes from, and are not kept there.",
    opening: "Opening the photo …",
    painting: "Painting …",
    painted: "Painted in {seconds} s. Drag the handle to compare.",
    "painting-full": "Painting at full size, {width} × {height} …",
    enlarging: "Enlarging …",
    downloaded: "Downloaded: {name}",
    "live-view": "What the camera sees, painted",
    "live-facts": "{rate} frames/s · {width} × {height}",
    "live-on": "Live: every frame is painted.",
    "no-recording": "Live: every frame is painted. This browser cannot record it.",
    turn: "Other camera",
    previous: "Previous style",
    next: "Next style",
    mirror: "Mirror",
    rate: "Frame rate to hold",
    record: "Record",
    "stop-recording": "Stop recording",
    "close-camera": "Close",
    shutter: "Take the photo",
    "error-not-a-picture": "That file is not a picture that can be read, or it is damaged.",
    "error-too-large": "That picture is too large: at most {megabytes} MB and {megapixels} megapixels.",
    "error-busy": "Many people are painting right now. Try again in a moment.",
    "error-time-limit": "That took too long. Try a smaller photo, or a smaller size to download.",
    "error-too-large-to-enlarge": "The painting is too large to be enlarged. Download it as large as the photo.",
    "error-offline": "Impasto does not answer. Is it still running?",
    "error-failed": "That did not work: {detail}",
    "error-camera-refused": "The browser does not let this page use the camera.",
    "error-no-camera": "No camera was found.",
    "error-camera-insecure": "The camera works only on this computer itself or over HTTPS.",
  },
  zh: {
    skip: "跳到图片",
    links: "链接",
    "other-language": "English",
    picture: "图片",
    lead: "用画家的眼光看你的照片",
    choose: "选择照片",
    camera: "使用相机",
    paste: "也可以把照片拖到这里，或直接粘贴。",
    example: "试试示例照片",
    drop: "松手即可开始作画",
    after: "画好的照片",
    before: "原照片",
    compare: "画面上显示多少原照片",
    another: "换一张照片",
    enlarge: "尺寸",
    "enlarge-none": "与照片相同",
    "enlarge-by": "放大 {scale} 倍",
    "enlarge-not": "{scale} 倍：超过 {megapixels} 百万像素",
    download: "下载",
    dials: "作画方式",
    strength: "强度",
    stroke_size: "笔触大小",
    keep_colors: "保留照片的颜色",
    second: "与另一种风格混合",
    "second-none": "不混合",
    share: "第二种风格的比例",
    styles: "风格",
    promise: "图片只会发送到提供本页面的电脑，不会被保存。",
    opening: "正在打开照片……",
    painting: "正在作画……",
    painted: "用时 {seconds} 秒。拖动手柄可对比。",
    "painting-full": "正在以完整尺寸 {width} × {height} 作画……",
    enlarging: "正在放大……",
    downloaded: "已下载：{name}",
    "live-view": "相机画面，实时作画",
    "live-facts": "{rate} 帧/秒 · {width} × {height}",
    "live-on": "实时：每一帧都会作画。",
    "no-recording": "实时：每一帧都会作画。此浏览器无法录制。",
    turn: "切换相机",
    previous: "上一种风格",
    next: "下一种风格",
    mirror: "镜像",
    rate: "保持的帧率",
    record: "录制",
    "stop-recording": "停止录制",
    "close-camera": "关闭",
    shutter: "拍照",
    "error-not-a-picture": "无法读取这个文件：它不是图片，或已损坏。",
    "error-too-large": "图片太大：最大 {megabytes} MB、{megapixels} 百万像素。",
    "error-busy": "现在作画的人很多，请稍后再试。",
    "error-time-limit": "用时太长，请换一张小一些的照片，或选择较小的下载尺寸。",
    "error-too-large-to-enlarge": "画作太大，无法放大。请按照片原尺寸下载。",
    "error-offline": "Impasto 没有响应，它还在运行吗？",
    "error-failed": "没有成功：{detail}",
    "error-camera-refused": "浏览器不允许本页面使用相机。",
    "error-no-camera": "没有找到相机。",
    "error-camera-insecure": "相机只能在本机或通过 HTTPS 使用。",
  },
};

const STORED = "impasto-language";

let language = stored() ?? (navigator.language.startsWith("zh") ? "zh" : "en");

function stored() {
  try {
    const name = localStorage.getItem(STORED);
    return name in TEXTS ? name : undefined;
  } catch {
    return undefined; // the browser lets this page keep nothing
  }
}

/** Returns a text of the page's language, with values in place of {names}; "" for no such text. */
export function text(key, values = {}) {
  return (TEXTS[language][key] ?? "").replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Writes all texts that the page's elements ask for. */
export function writeTexts() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = text(element.dataset.t);
  }
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", text(element.dataset.tLabel));
  }
  for (const element of document.querySelectorAll("[data-t-alt]")) {
    element.alt = text(element.dataset.tAlt);
  }
}

/** Changes to the other language and keeps it for the next visit, where that is allowed. */
export function changeLanguage() {
  language = language === "zh" ? "en" : "zh";
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // Then it lasts as long as the page.
  }
}
