// No validator: it would send the description to another machine.
globalThis.SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", validatorUrl: null });
