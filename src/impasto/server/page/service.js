// Talking to the service that this page comes from.

/** What the service, or the way to it, says no with; `code` says why in a word. */
export class ServiceError extends Error {
  constructor(code, detail, retryAfterS = 1) {
    super(detail);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError("offline", String(error));
  }
  if (response.ok) return response;
  if (response.status === 401) location.assign("sign-in");
  const problem = await response.json().catch(() => ({}));
  throw new ServiceError(
    problem.code ?? (response.status === 503 ? "busy" : "failed"),
    problem.detail ?? response.statusText,
    Number(response.headers.get("Retry-After") ?? 1),
  );
}

/** Gets an answer in JSON. */
export async function getJson(path) {
  return (await ask(path)).json();
}

/** Gets a file. */
export async function getBlob(path) {
  return (await ask(path)).blob();
}

/** Sends a picture and gets one back, in the form of a blob. */
export async function send(path, picture, parameters, signal) {
  const asked = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const response = await ask(`${path}?${new URLSearchParams(asked)}`, {
    method: "POST",
    body: picture,
    signal,
  });
  return response.blob();
}
