// The live view: frames of the camera go to the service and come back painted.

import { send } from "./service.js";
import { toJpeg } from "./photo.js";

const VIEW_PX = 960; // of the canvas, whatever size is painted: a recording needs a fixed one
const SMALLEST_PX = 128;
const LARGEST_PX = 720;
const LANES = 2; // while one frame is painted, the next one travels
const FIRST_PX = 320;
const EVERY_MS = 1000;
const RECORDED = ["video/mp4;codecs=avc1", "video/webm;codecs=vp9", "video/webm"];

/** Returns the longer side to paint at next, so that the frame rate comes near its target. */
export function nextSize(size, rate, target) {
  const ratio = rate / target;
  if (ratio > 0.93 && ratio < 1.15) return size;
  // Time goes with the number of pixels. Small steps, since a rate is measured over a moment.
  const wanted = size * Math.min(Math.max(Math.sqrt(ratio), 0.7), 1.2);
  return Math.min(Math.max(Math.round(wanted / 16) * 16, SMALLEST_PX), LARGEST_PX);
}

function recordedType() {
  if (typeof MediaRecorder === "undefined") return undefined;
  return RECORDED.find((known) => MediaRecorder.isTypeSupported(known));
}

export class Live {
  #video = document.getElementById("camera");
  #view = document.getElementById("live-view");
  #stream;
  #recorder;
  #size = FIRST_PX;
  #sent = 0;
  #shown = 0;
  #shownSize;
  #times = [];
  #timer;
  #facing = "user";

  /** `settings` returns how frames are painted; `tell` is given the frame rate and size;
   * `failed` is given an error that ends the view. */
  constructor(settings, tell, failed) {
    Object.assign(this, { settings, tell, failed });
  }

  get running() {
    return this.#stream !== undefined;
  }

  get recording() {
    return this.#recorder !== undefined;
  }

  get canRecord() {
    return recordedType() !== undefined && "captureStream" in this.#view;
  }

  /** Opens the camera and begins; `which` says which of several, else it is that of the last side,
   * at first one's own. */
  async start(which = { facingMode: this.#facing }) {
    if (!navigator.mediaDevices) throw Object.assign(new Error(), { name: "NoMediaDevices" });
    const wanted = { width: { ideal: 1920 }, height: { ideal: 1080 }, ...which };
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    const { videoWidth, videoHeight } = this.#video;
    const scale = VIEW_PX / Math.max(videoWidth, videoHeight);
    this.#view.width = 2 * Math.round((videoWidth * scale) / 2);
    this.#view.height = 2 * Math.round((videoHeight * scale) / 2);
    this.#times = [];
    this.#timer = setInterval(() => this.#adapt(), EVERY_MS);
    for (let lane = 0; lane < LANES; lane += 1) this.#lane(this.#stream);
  }

  /** Returns the cameras that there are, as far as the browser tells. */
  async cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput");
  }

  /** Goes on with the next camera, on a phone with that of the other side. Returns whether it looks
   * at oneself, or undefined where no camera has a side. */
  async turn() {
    const { facingMode, deviceId } = this.#stream.getVideoTracks()[0].getSettings();
    const all = (await this.cameras()).map((camera) => camera.deviceId);
    const next = all[(all.indexOf(deviceId) + 1) % all.length];
    this.stop(); // first: few phones open two at once
    if (!facingMode) {
      await this.start({ deviceId: { exact: next } });
      return undefined;
    }
    this.#facing = facingMode === "user" ? "environment" : "user";
    await this.start();
    return this.#facing === "user";
  }

  stop() {
    if (this.recording) this.#recorder.stop();
    clearInterval(this.#timer);
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = undefined;
    this.#video.srcObject = null;
  }

  /** Returns the photo that the camera sees, unpainted and at its full size. */
  async still() {
    const { videoWidth, videoHeight } = this.#video;
    const picture = await toJpeg(this.#frame(videoWidth, videoHeight), 0.95);
    return new File([picture], "camera.jpg", { type: picture.type });
  }

  /** Begins to record what the view shows; `done` is given the video and the end of its name. */
  record(done) {
    const type = recordedType();
    const recorder = new MediaRecorder(this.#view.captureStream(30), { mimeType: type });
    const parts = [];
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    recorder.addEventListener("stop", () => {
      this.#recorder = undefined;
      done(new Blob(parts, { type }), type.startsWith("video/mp4") ? "mp4" : "webm");
    });
    recorder.start();
    this.#recorder = recorder;
  }

  stopRecording() {
    this.#recorder.stop();
  }

  /** Sends one frame after another, until the view is stopped. */
  async #lane(stream) {
    while (this.#stream === stream) {
      try {
        await this.#nextFrame();
        const { mirror, rate, ...parameters } = this.settings();
        const scale = this.#size / Math.max(this.#video.videoWidth, this.#video.videoHeight);
        const frame = this.#frame(
          Math.round(this.#video.videoWidth * scale),
          Math.round(this.#video.videoHeight * scale),
        );
        const number = (this.#sent += 1);
        const picture = await toJpeg(frame, 0.85);
        const painted = await send("v1/stylize", picture, {
          ...parameters,
          format: "jpeg",
          quality: 85,
        });
        const bitmap = await createImageBitmap(painted);
        if (this.#stream === stream && number > this.#shown) this.#show(bitmap, number);
        bitmap.close();
      } catch (error) {
        if (this.#stream !== stream) return;
        if (error.code !== "busy") {
          this.failed(error);
          return;
        }
        await new Promise((done) => setTimeout(done, 1000 * error.retryAfterS));
      }
    }
  }

  #nextFrame() {
    const video = this.#video;
    return new Promise((done) => {
      if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    });
  }

  #frame(width, height) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    if (this.settings().mirror) {
      context.translate(width, 0);
      context.scale(-1, 1);
    }
    context.drawImage(this.#video, 0, 0, width, height);
    return canvas;
  }

  #show(bitmap, number) {
    const context = this.#view.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, this.#view.width, this.#view.height);
    this.#shown = number;
    this.#times.push(performance.now());
    this.#shownSize = { width: bitmap.width, height: bitmap.height };
  }

  #adapt() {
    const since = performance.now() - 2 * EVERY_MS;
    this.#times = this.#times.filter((time) => time > since);
    if (this.#times.length < 2) return;
    const span = this.#times.at(-1) - this.#times[0];
    const rate = (1000 * (this.#times.length - 1)) / span;
    this.tell(rate, this.#shownSize);
    this.#size = nextSize(this.#size, rate, this.settings().rate);
  }
}
