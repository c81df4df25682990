// What pages do by themselves: times in the reader's zone, and looking again when something has happened.
// Without it all pages work, in UTC, and as of when they were asked for.
"use strict";

const far = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const near = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function tellTimes(within) {
  const today = new Date().toDateString();
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.dateTime;
    time.textContent = (at.toDateString() === today ? near : far).format(at);
  }
}

// A form is sent once. What the pressed button says belongs to it, so that it is put away only afterwards.
document.addEventListener("submit", (event) => {
  setTimeout(() => {
    for (const button of event.target.querySelectorAll("button")) button.disabled = true;
  });
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

// Looks again, unless somebody is at work in the page.
async function lookAgain() {
  const main = document.querySelector("main");
  if (document.hidden || (main.contains(document.activeElement) && document.activeElement !== main)) return;
  if (String(getSelection()) !== "") return;
  const answer = await fetch(location.href, { headers: { "x-by-itself": "1" }, redirect: "error" });
  if (!answer.ok) return;
  const anew = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (!anew || anew.innerHTML === main.dataset.before) return;
  main.dataset.before = anew.innerHTML;
  tellTimes(anew);
  main.replaceChildren(...anew.childNodes);
}

// What will be another in a moment is looked at again.
function lookUntilItIs() {
  if (document.querySelector("[data-soon]")) lookSoon();
}

let soon = 0;
function lookSoon() {
  if (soon) return;
  soon = setTimeout(() => {
    soon = 0;
    lookAgain().catch(() => {}).finally(lookUntilItIs);
  }, 1000);
}

// A recipe that is being written is checked whenever the keys rest.
const desk = document.querySelector("form[data-desk]");
if (desk) {
  const came = document.getElementById("came");
  let rests = 0;
  let asked = 0;
  async function check() {
    const now = ++asked;
    const body = new URLSearchParams(new FormData(desk));
    body.set("do", "check");
    const answer = await fetch(desk.getAttribute("action"), { method: "POST", body, redirect: "error" });
    if (!answer.ok || now !== asked) return;
    const anew = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("came");
    if (!anew || now !== asked) return;
    came.hidden = false;
    came.replaceChildren(...anew.childNodes);
  }
  desk.elements.namedItem("text").addEventListener("input", () => {
    clearTimeout(rests);
    rests = setTimeout(() => check().catch(() => {}), 600);
  });
}

tellTimes(document);
lookUntilItIs();
if (document.body.dataset.live) {
  let happens = null;
  const listen = () => {
    // Pages that nobody sees hold no connection: a browser has few for one place.
    if (document.hidden) {
      happens?.close();
      happens = null;
    } else if (!happens) {
      // When it breaks off, the browser asks anew by itself. What has happened since the page was made, or meanwhile, is
      // looked at first.
      happens = new EventSource("/api/v1/events");
      happens.onopen = lookSoon;
      happens.onmessage = (told) => {
        if (JSON.parse(told.data).what !== "listening") lookSoon();
      };
    }
  };
  document.addEventListener("visibilitychange", () => {
    listen();
    lookSoon();
  });
  listen();
}
