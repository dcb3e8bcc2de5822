// The dials of painting, as the service describes them: a slider, or a switch where there are no ends.

const STEP_PERCENT = 5;
const STEP_DOUBLINGS = 0.25;

function element(tag, values, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

/** A dial whose label is the page's text of its name. */
class Dial {
  constructor({ name, default: value, least, most, by_factors: byFactors }) {
    Object.assign(this, { name, byFactors, isSwitch: least === null });
    const label = element("label", { htmlFor: name });
    label.dataset.t = name;
    this.output = element("output", { id: `${name}-value`, htmlFor: name });
    if (this.isSwitch) {
      this.input = element("input", { id: name, type: "checkbox" });
      this.element = element("div", { className: "dial check" }, this.input, label);
    } else {
      const [min, max] = [this.#position(least), this.#position(most)];
      const step = byFactors ? STEP_DOUBLINGS : STEP_PERCENT;
      this.input = element("input", { id: name, type: "range", min, max, step });
      this.element = element("div", { className: "dial" }, label, this.output, this.input);
    }
    this.value = value;
  }

  #position(value) {
    return this.byFactors ? Math.log2(value) : 100 * value;
  }

  get value() {
    if (this.isSwitch) return this.input.checked;
    const position = Number(this.input.value);
    return this.byFactors ? (2 ** position).toFixed(3) : position / 100;
  }

  set value(value) {
    if (this.isSwitch) this.input.checked = String(value) === "true";
    else this.input.value = this.#position(Number(value));
  }

  show() {
    const shown = this.byFactors ? `× ${Number(this.value).toFixed(2)}` : `${this.input.value} %`;
    this.output.textContent = shown;
  }
}

export class Dials {
  /** Puts dials before all else in a place; `query` may say where they stand. */
  constructor(place, described, query) {
    this.all = described.map((one) => new Dial(one));
    for (const dial of this.all) if (query.has(dial.name)) dial.value = query.get(dial.name);
    place.prepend(...this.all.map((dial) => dial.element));
  }

  get inputs() {
    return this.all.map((dial) => dial.input);
  }

  /** Returns parameters of a request. */
  values() {
    return Object.fromEntries(this.all.map((dial) => [dial.name, dial.value]));
  }

  show() {
    for (const dial of this.all) dial.show();
  }
}
