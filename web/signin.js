// Signing in, with the id and the secret of a client.

import {wordsOf} from "./api.js";
import {el, field, setError} from "./dom.js";

/** The view; onDone(id) is called when the server has accepted the client. notice: why it is shown. */
export function signInView(api, onDone, notice = "") {
  const id = field({id: "client-id", label: "Client id", autocomplete: "username", autocapitalize: "none", spellcheck: "false"});
  const secret = field({id: "client-secret", label: "Client secret", type: "password", autocomplete: "current-password"});
  const message = el("p", {class: "note bad", role: "alert", hidden: !notice}, notice);
  const button = el("button", {type: "submit"}, "Sign in");

  function tell(text) {
    message.hidden = !text;
    message.textContent = text;
  }

  function missing() {
    setError(id, id.input.value ? "" : "Enter the client id.");
    setError(secret, secret.input.value ? "" : "Enter the client secret.");
    return [id, secret].find(one => !one.input.value);
  }

  async function submit(event) {
    event.preventDefault();
    tell("");
    const first = missing();
    if (first) return first.input.focus();
    button.disabled = true;
    try {
      await api.signIn(id.input.value, secret.input.value);
      secret.input.value = "";
      onDone(id.input.value);
    } catch (problem) {
      const wrong = problem.status === 401 || problem.status === 400;
      tell(wrong ? "This client id and secret do not fit together. Check both and try again." : wordsOf(problem));
      secret.input.focus();
      secret.input.select();
    } finally {
      button.disabled = false;
    }
  }

  const node = el("section", {class: "card narrow", "aria-labelledby": "view-title"},
    el("h1", {id: "view-title", tabindex: "-1"}, "Sign in"),
    el("p", {class: "lead"}, "Watch your orders as they move, and place new ones. The secret stays in this page and is gone when you close it."),
    message, el("form", {novalidate: true, onsubmit: submit}, id.node, secret.node, button));
  return {node, title: () => "Sign in", focus: () => id.input.focus(), update() {}};
}
