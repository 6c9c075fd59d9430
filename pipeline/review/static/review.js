"use strict";
// Keys for the cards; everything can be done without this file.
(() => {
  const cards = [...document.querySelectorAll("article.card")];
  let at = Math.max(0, cards.findIndex((card) => "#" + card.id === location.hash));
  // The list is shorter after the last card was decided.
  if (location.hash.startsWith("#at-") && !document.getElementById(location.hash.slice(1))) at = cards.length - 1;

  const show = (place, scroll) => {
    if (!cards.length) return;
    cards[at]?.classList.remove("current");
    at = Math.min(Math.max(place, 0), cards.length - 1);
    cards[at].classList.add("current");
    if (scroll) cards[at].scrollIntoView({ block: "center" });
  };
  show(at, Boolean(location.hash));

  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
    });
  }
  // A page that comes back from the history may be sent again.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    const inside = event.target.closest("input, select, textarea");
    if (inside) {
      if (event.key === "Escape") inside.blur();
      if (event.key === "Enter" && inside.name === "target") {
        event.preventDefault();
        const button = inside.parentElement.querySelector("button");
        inside.form.requestSubmit(button);
      }
      return;
    }
    const key = event.key.toLowerCase();
    if (key === "j") return show(at + 1, true);
    if (key === "k") return show(at - 1, true);
    const card = cards[at];
    if (!card) return;
    if (key === "n") {
      event.preventDefault();
      card.querySelector("input[name=note]")?.focus();
    } else if (key === "m") {
      event.preventDefault();
      const move = card.querySelector("details.move, details.add");
      if (move) {
        move.open = true;
        move.querySelector("input[name=target]").focus();
      }
    } else {
      const button = card.querySelector(`button[data-key="${CSS.escape(key)}"]`);
      if (button) button.form.requestSubmit(button);
    }
  });
})();
