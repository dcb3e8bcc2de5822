// A photo: the file itself, and a smaller copy that is painted while dials move.

import { send, ServiceError } from "./service.js";

const PREVIEW_PX = 1280;

/** Reads a file; what the browser does not know (HEIC, TIFF) the service turns into JPEG. */
export async function openPhoto(file, maxBytes) {
  if (file.size > maxBytes) throw new ServiceError("too-large", file.name);
  let source = file;
  let bitmap = await decode(source);
  if (bitmap === undefined) {
    source = await send("v1/stylize", file, { strength: 0, format: "jpeg" });
    bitmap = await decode(source);
  }
  const { width, height } = bitmap;
  const preview = Math.max(width, height) <= PREVIEW_PX ? source : await smaller(bitmap);
  bitmap.close();
  return { file: source, name: stem(file.name), preview, width, height };
}

/** Has the browser save a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Turns what a canvas shows into a JPEG file. */
export function toJpeg(canvas, quality) {
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
}

function decode(blob) {
  return createImageBitmap(blob).catch(() => undefined);
}

async function smaller(bitmap) {
  const scale = PREVIEW_PX / Math.max(bitmap.width, bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // below transparency, as where the service writes JPEG
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return toJpeg(canvas, 0.93);
}

function stem(name) {
  return name.replace(/\.[^.]*$/, "") || "photo";
}
