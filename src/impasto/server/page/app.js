// The page: what is chosen, what is shown, and what is asked of the service.

import { Dials } from "./dials.js";
import { Gallery } from "./gallery.js";
import { Live } from "./live.js";
import { openPhoto, save } from "./photo.js";
import { getBlob, getJson, send, ServiceError } from "./service.js";
import { changeLanguage, text, writeTexts } from "./texts.js";

const PATIENCE_MS = 250; // after a dial has moved
const SUFFIXES = { "image/jpeg": "jpg", "image/tiff": "tif" };
const CAMERA_ERRORS = {
  NotAllowedError: "camera-refused",
  NotFoundError: "no-camera",
  NotReadableError: "no-camera",
  NoMediaDevices: "camera-insecure",
};

const $ = (id) => document.getElementById(id);

const query = new URLSearchParams(location.search);
const live = new Live(liveSettings, tellLive, liveFailed);
let gallery;
let limits;
let dials;
let photo;
let job; // of the picture that is being painted, if any
let status = ["", {}];
let failure;

// --- what is said ---------------------------------------------------------------------------

function say(key, values = {}) {
  status = [key, values];
  $("status").textContent = text(key, values);
}

function complain(error) {
  failure = error;
  $("error").hidden = error === undefined;
  if (error === undefined) return;
  const own = error instanceof ServiceError;
  const code = own ? error.code : (CAMERA_ERRORS[error.name] ?? "failed");
  const values = limits && {
    megabytes: Math.round(limits.max_upload_bytes / 1e6),
    megapixels: Math.round(limits.max_pixels / 1e6),
  };
  $("error").textContent = text(`error-${code}`, values) || text("error-failed", { detail: error.message });
}

function write() {
  writeTexts();
  const other = $("language");
  other.textContent = text("other-language");
  other.lang = text("other-language") === "English" ? "en" : "zh-CN";
  $("record").textContent = text(live.recording ? "stop-recording" : "record");
  offerScales();
  offerBlend();
  say(...status);
  if (failure) complain(failure);
  showDials();
}

function show(mode) {
  document.body.dataset.mode = mode;
  $("welcome").hidden = mode !== "welcome";
  $("frame").hidden = $("photo-actions").hidden = mode !== "photo";
  $("live").hidden = $("live-actions").hidden = mode !== "live";
}

// --- how it is painted ----------------------------------------------------------------------

function showDials() {
  dials.show();
  $("rate-value").textContent = $("rate").value;
  $("share-value").textContent = `${$("share").value} %`;
}

function style() {
  const { name } = gallery.chosen;
  const second = $("blend").hidden ? "" : $("second").value;
  const share = $("share").value / 100;
  return second ? `${name}:${(1 - share).toFixed(2)},${second}:${share.toFixed(2)}` : name;
}

function settings() {
  return { style: style(), ...dials.values() };
}

function offerBlend() {
  const others = gallery.chosen.blends_with;
  const kept = $("second").value;
  const titles = new Map(gallery.styles.map(({ name, title }) => [name, title]));
  const choices = others.map((name) => new Option(titles.get(name), name));
  $("second").replaceChildren(new Option(text("second-none"), ""), ...choices);
  $("second").value = others.includes(kept) ? kept : "";
  $("blend").hidden = others.length === 0;
  $("share-dial").hidden = $("second").value === "";
}

function offerScales() {
  const scales = [...new Set(limits.upscalers.flatMap((item) => item.scales))].sort();
  const kept = $("scale").value;
  const pixels = photo ? photo.width * photo.height : 0;
  const choices = scales.map((scale) => {
    const fits = pixels * scale ** 2 <= limits.max_pixels;
    const megapixels = Math.round(limits.max_pixels / 1e6);
    const choice = new Option(text(fits ? "enlarge-by" : "enlarge-not", { scale, megapixels }), scale);
    choice.disabled = !fits;
    return choice;
  });
  $("scale").replaceChildren(new Option(text("enlarge-none"), ""), ...choices);
  $("scale").value = choices.some(({ value, disabled }) => value === kept && !disabled) ? kept : "";
  $("enlarge").hidden = scales.length === 0;
}

// --- painting a photo -----------------------------------------------------------------------

/** Runs one thing at a time, once the styles are known: what was begun before is given up. */
async function alone(work) {
  job?.abort();
  const own = (job = new AbortController());
  complain(undefined);
  $("busy").hidden = false;
  try {
    await loading;
    if (!own.signal.aborted) await work(own.signal);
  } catch (error) {
    if (job === own) {
      say("");
      if (error.name !== "AbortError") complain(error);
    }
  }
  if (job === own) {
    job = undefined;
    $("busy").hidden = true;
  }
}

function open(file) {
  return alone(async (signal) => {
    say("opening");
    const opened = await openPhoto(file, limits.max_upload_bytes);
    if (signal.aborted) return;
    photo = opened;
    offerScales();
    if (live.running) live.stop();
    showPicture($("before"), photo.preview);
    await paintPreview(signal, { first: true });
  });
}

function repaint() {
  if (photo !== undefined) alone((signal) => paintPreview(signal));
}

async function paintPreview(signal, { first = false } = {}) {
  say("painting");
  const start = performance.now();
  const asked = { ...settings(), format: "jpeg", quality: 92 };
  const painted = await send("v1/stylize", photo.preview, asked, signal);
  await showPicture($("after"), painted);
  $("before").hidden = false;
  show("photo");
  if (first) wipe();
  say("painted", { seconds: ((performance.now() - start) / 1000).toFixed(1) });
}

function showPicture(image, blob) {
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  return image.decode();
}

/** Begins with the photo and uncovers the painting. */
function wipe() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const start = performance.now();
  const step = (now) => {
    const share = still ? 1 : Math.min(1, Math.max(0, (now - start) / 1100));
    compare(100 * (1 - share) ** 3);
    if (share < 1) requestAnimationFrame(next);
  };
  const next = (now) => document.activeElement !== $("compare") && step(now);
  step(start);
}

function compare(percent) {
  $("compare").value = percent;
  $("frame").style.setProperty("--cut", `${percent}%`);
}

function download() {
  return alone(async (signal) => {
    const { width, height } = photo;
    say("painting-full", { width, height });
    let blob = await send("v1/stylize", photo.file, settings(), signal);
    if ($("scale").value) blob = await enlarge(blob, Number($("scale").value), signal);
    const suffix = SUFFIXES[blob.type] ?? blob.type.replace("image/", "");
    const name = `${photo.name}.${style().replace(/[:,]/g, "_")}.${suffix}`;
    save(blob, name);
    say("downloaded", { name });
  });
}

/** Has the painting enlarged. One that is too large to be sent goes there in a smaller form, and
 * comes back in its own. */
async function enlarge(painting, scale, signal) {
  let sent = painting;
  if (sent.size > limits.max_upload_bytes) {
    const form = { ...settings(), format: "webp", quality: 90 };
    sent = await send("v1/stylize", photo.file, form, signal);
  }
  if (sent.size > limits.max_upload_bytes) throw new ServiceError("too-large-to-enlarge", "");
  say("enlarging");
  const format = painting.type.replace("image/", "");
  return send("v1/upscale", sent, { scale, format }, signal);
}

// --- the camera -----------------------------------------------------------------------------

function liveSettings() {
  return {
    ...settings(),
    mirror: $("mirror").checked,
    rate: Number($("rate").value),
  };
}

function tellLive(rate, { width, height }) {
  $("live-facts").textContent = text("live-facts", { rate: rate.toFixed(1), width, height });
}

function openCamera() {
  return alone(async (signal) => {
    await live.start();
    if (signal.aborted) return live.stop(); // a photo was chosen while the browser asked
    showLive();
    $("turn").hidden = (await live.cameras()).length < 2;
  });
}

function turnCamera() {
  return alone(async (signal) => {
    $("turn").disabled = true;
    try {
      $("mirror").checked = (await live.turn()) ?? $("mirror").checked;
    } catch (error) {
      closeCamera();
      throw error;
    } finally {
      $("turn").disabled = false;
    }
    const closed = document.body.dataset.mode !== "live";
    if (signal.aborted || closed) return live.stop();
    showLive();
  });
}

function showLive() {
  $("live-facts").textContent = "";
  $("record").hidden = !live.canRecord;
  show("live");
  say(live.canRecord ? "live-on" : "no-recording");
}

function closeCamera() {
  live.stop();
  show(photo === undefined ? "welcome" : "photo");
  say("");
}

function liveFailed(error) {
  closeCamera();
  complain(error);
}

function record() {
  if (live.recording) {
    live.stopRecording();
    return;
  }
  live.record((video, suffix) => {
    const name = `impasto.${suffix}`;
    save(video, name);
    $("record").setAttribute("aria-pressed", "false");
    $("record").textContent = text("record");
    say("downloaded", { name });
  });
  $("record").setAttribute("aria-pressed", "true");
  $("record").textContent = text("stop-recording");
}

function step(places) {
  gallery.step(places);
  styleChanged();
}

function styleChanged() {
  offerBlend();
  if (!live.running) repaint();
}

// --- listening ------------------------------------------------------------------------------

function later(work) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, PATIENCE_MS);
  };
}

function listenToDials() {
  const repaintLater = later(() => !live.running && repaint());
  for (const input of [...dials.inputs, $("share"), $("rate")]) {
    input.addEventListener("input", () => {
      showDials();
      repaintLater();
    });
  }
}

function listen() {
  $("second").addEventListener("change", styleChanged);
  $("compare").addEventListener("input", () => compare($("compare").value));
  for (const button of document.querySelectorAll(".choose")) {
    button.addEventListener("click", () => $("file").click());
  }
  for (const button of document.querySelectorAll(".camera")) {
    button.addEventListener("click", openCamera);
  }
  $("file").addEventListener("change", () => {
    if ($("file").files.length) open($("file").files[0]);
    $("file").value = "";
  });
  $("example").addEventListener("click", async () => {
    open(new File([await getBlob("v1/example")], "example.jpg"));
  });
  $("download").addEventListener("click", download);
  $("language").addEventListener("click", async () => {
    changeLanguage();
    await loading;
    write();
  });
  listenToCamera();
  listenToDrops();
}

function listenToCamera() {
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("record").addEventListener("click", record);
  $("turn").addEventListener("click", turnCamera);
  $("close-camera").addEventListener("click", closeCamera);
  $("shutter").addEventListener("click", async () => open(await live.still()));
}

function listenToDrops() {
  const drop = (dropping) => document.body.classList.toggle("dropping", dropping);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && drop(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop(false);
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) open(file);
  });
}

async function load() {
  const [{ styles }, known] = await Promise.all([getJson("v1/styles"), getJson("v1/limits")]);
  limits = known;
  dials = new Dials($("dials"), limits.dials, query);
  gallery = new Gallery(styles, query.get("style"), styleChanged);
  if (query.has("rate")) $("rate").value = query.get("rate");
  if (query.has("mirror")) $("mirror").checked = query.get("mirror") === "1";
  listenToDials();
  write();
}

writeTexts();
const loading = load();
loading.catch(complain);
listen();
if (query.has("live")) openCamera();
