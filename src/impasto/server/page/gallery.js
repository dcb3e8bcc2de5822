// The cards of the styles: a group of radio buttons, so that arrow keys move among them.

export class Gallery {
  #cards = document.getElementById("cards");

  /** Draws the cards. `changed` is told when another style is chosen. */
  constructor(styles, chosen, changed) {
    this.styles = styles;
    const cards = styles.map((style) => this.#card(style, changed));
    this.#cards.replaceChildren(...cards);
    this.choose(styles.some((style) => style.name === chosen) ? chosen : styles[0].name);
  }

  /** The style that is chosen. */
  get chosen() {
    const { value } = this.#cards.querySelector(":checked");
    return this.styles.find((style) => style.name === value);
  }

  choose(name) {
    const card = [...this.#cards.querySelectorAll("input")].find((input) => input.value === name);
    card.checked = true;
    // Within the strip that the cards are on a phone: the page itself stays where it is.
    this.#cards.scrollTo({ left: card.parentElement.offsetLeft - 2 * this.#cards.offsetLeft });
  }

  /** Chooses the style that is some places further on, round and round. */
  step(places) {
    const at = this.styles.indexOf(this.chosen);
    this.choose(this.styles[(at + places + this.styles.length) % this.styles.length].name);
  }

  #card(style, changed) {
    const card = document.createElement("label");
    card.className = "card";
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "style", value: style.name });
    input.addEventListener("change", changed);
    const picture = document.createElement("img");
    Object.assign(picture, { src: style.thumbnail, alt: "", loading: "lazy" });
    card.append(input, picture, line("title", style.title));
    const year = /\d/.test(style.year) ? style.year : ""; // it may be "not stated"
    const by = [style.artist, year].filter(Boolean).join(", ");
    if (by) card.append(line("by", by));
    return card;
  }
}

function line(name, content) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = content;
  return span;
}
