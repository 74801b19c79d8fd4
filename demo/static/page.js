"use strict";

// The camera sends the whole board twice a second; only what has changed is touched, so that a
// button stays the same button while one presses it.

const $ = (id) => document.getElementById(id);
const QUIET = 3000; // milliseconds without a board after which the page says so
let lastNews = 0;
let silence;

// Make an element. Text becomes text nodes: nothing that visitors wrote is ever read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Let `parent` have one child for each item, in order; those with a known key stay. Without items
// it has what the page began with.
function list(parent, items, key, build, update = () => {}) {
  parent.placeholder ??= [...parent.children];
  const known = parent.known ?? new Map();
  parent.known = new Map();
  if (!items.length) return parent.replaceChildren(...parent.placeholder);
  items.forEach((item, place) => {
    const element = known.get(key(item)) ?? build(item);
    parent.known.set(key(item), element);
    update(element, item);
    const present = parent.children[place] ?? null;
    if (present === element) return;
    if (present?.nextElementSibling === element) present.remove(); // it may come back further down
    else parent.insertBefore(element, present);
  });
  while (parent.children.length > items.length) parent.lastElementChild.remove();
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
const euros = (cents) => (cents / 100).toFixed(2) + " €";
const tone = { SUCCESS: "good", FAILURE: "bad", REVOKED: "bad", STARTED: "busy", PROGRESS: "busy" };

function buildTask({ id, name, args }) {
  const stop = () => press("tasks/stop/", { task: id });
  return make("li", {},
    make("span"),
    make("span", { class: "what", title: args }, name, " ", make("small", {}, args)),
    make("span", { class: "when" }),
    make("span", { class: "outcome" }),
    make("progress", { class: "outcome", max: 100, "aria-label": `Progress of ${name}` }),
    make("button", { class: "quiet small", click: stop, "aria-label": `Stop ${name}` }, "Stop"),
  );
}

function updateTask(row, task) {
  const [state, , when, outcome, progress, stop] = row.children;
  state.textContent = task.state;
  state.className = `state ${tone[task.state] ?? "waiting"}`;
  when.textContent = task.seconds === null ? clock(task.at) : `${task.seconds.toFixed(2)} s`;
  outcome.textContent = outcome.title = (task.retries ? `retry ${task.retries} ` : "") + task.outcome;
  outcome.hidden = !(progress.hidden = task.progress === null);
  progress.value = task.progress ?? 0;
  stop.hidden = task.finished;
}

// A member of the report's family; what is deeper stands further to the right.
function buildMember({ name, args, depth, chained }) {
  const row = make("li", {},
    make("span", { class: "what", title: args }, depth ? (chained ? "→ " : "└ ") : "", name, " ", make("small", {}, args)),
    make("span"),
    make("progress", { max: 100, "aria-label": `Progress of ${name} ${args}` }),
  );
  row.style.setProperty("--depth", depth);
  return row;
}

function updateMember(row, { state, progress }) {
  const [, pill, bar] = row.children;
  pill.textContent = state;
  pill.className = `state ${tone[state] ?? "waiting"}`;
  bar.hidden = progress === null;
  bar.value = progress ?? 0;
}

function buildPicture({ title, url }) {
  const image = url ? make("img", { src: url, alt: "" }) : make("div", { class: "unmade" });
  return make("li", {}, make("figure", {}, image, make("figcaption", { title }, title)));
}

function buildMail({ to, subject, text }) {
  return make("details", {},
    make("summary", {}, subject, make("small", {}, to)),
    make("pre", {}, text),
  );
}

function buildReport({ at, lines }) {
  const sum = (name) => lines.reduce((total, line) => total + line[name], 0);
  const row = (tag, ...cells) => make("tr", {}, ...cells.map((cell) => make(tag, {}, `${cell}`)));
  return make("table", {},
    make("thead", {}, row("th", `At ${clock(at)}`, "Orders", "Sum")),
    make("tbody", {}, ...lines.map((line) => row("td", line.item, line.orders, euros(line.cents)))),
    make("tfoot", {}, row("td", "All", sum("orders"), euros(sum("cents")))),
  );
}

function buildSchedule({ name }) {
  const click = () => press("schedules/switch/", { schedule: name });
  return make("li", {},
    make("span", {}, name, make("small")),
    make("button", { class: "quiet small", role: "switch", "aria-label": name, click }),
  );
}

function updateSchedule(row, { enabled, runs, at }) {
  row.querySelector("small").textContent = at ? `run ${runs}, at ${clock(at)}` : "has not run yet";
  row.lastChild.textContent = enabled ? "on" : "off";
  row.lastChild.setAttribute("aria-checked", enabled);
}

function buildQueue({ name, length }) {
  return make("span", { class: "meter" }, `${name} `, make("b", {}, `${length}`));
}

function buildWorker({ name, done }) {
  return make("span", { class: "meter" }, `${name} · ${done} done`);
}

// What the flushes have done: the shop's own count of bodies, against what was published.
function buildParcels({ published, done, waiting, lost, twice }) {
  const meter = (name, count, kind) => make("span", { class: `meter ${kind}` }, `${name} `, make("b", {}, `${count}`));
  return make("span", { class: "parcels" },
    "Published under a flush ",
    meter("tasks", published, ""),
    meter("done", done, ""),
    meter("waiting", waiting, ""),
    meter("lost", lost, lost ? "bad" : "good"),
    meter("done twice", twice, twice ? "bad" : "good"),
  );
}

function show(board) {
  const parcels = board.parcels.published ? [board.parcels] : [];
  list($("parcels"), parcels, (counts) => JSON.stringify(counts), buildParcels);
  list($("queues"), board.queues, ({ name, length }) => `${name} ${length}`, buildQueue);
  list($("workers"), board.workers, ({ name, done }) => `${name} ${done}`, buildWorker);
  list($("tasks"), board.tasks, ({ id }) => id, buildTask, updateTask);
  list($("pictures"), board.pictures, ({ id, url }) => `${id} ${url}`, buildPicture);
  list($("mails"), board.mails, ({ id }) => id, buildMail);
  list($("report"), board.report, ({ id }) => id, buildReport);
  list($("family"), board.family, ({ id }) => id, buildMember, updateMember);
  list($("log"), board.log, ({ id }) => id, ({ text }) => make("li", {}, text));
  list($("schedules"), board.schedules, ({ name }) => name, buildSchedule, updateSchedule);
}

// A server, a layer or a camera that is gone brings no news: say so.
function watch() {
  const live = Date.now() - lastNews < QUIET;
  $("status").textContent = live ? "live" : lastNews ? "no news" : "connecting";
  $("status").className = live ? "pill good" : lastNews ? "pill bad" : "pill";
}

function listen() {
  const address = new URL("live/", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.onmessage = ({ data }) => {
    lastNews = Date.now();
    show(JSON.parse(data));
    watch();
  };
  socket.onclose = () => setTimeout(listen, 1000);
}

function tell(text, isError) {
  $("notice").textContent = text;
  $("notice").className = isError ? "shown bad" : "shown";
  clearTimeout(silence);
  silence = setTimeout(() => $("notice").classList.remove("shown"), isError ? 10000 : 4000);
}

async function send(url, body) {
  // Read at each press: a login to the admin in another tab changes it.
  const [, token] = document.cookie.match(/cq_demo_csrf=(\w+)/) ?? [];
  try {
    const answer = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token } });
    const isJson = answer.headers.get("content-type")?.includes("json");
    const { message, error } = isJson ? await answer.json() : { error: `The shop answers ${answer.status}.` };
    tell(message ?? error, !answer.ok);
  } catch {
    tell("The shop does not answer.", true);
  }
}

function press(url, values) {
  const body = new FormData();
  for (const [name, value] of Object.entries(values)) body.append(name, value);
  return send(url, body);
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const { target, submitter } = event;
  const body = new FormData(target);
  if (submitter?.name) body.append(submitter.name, submitter.value);
  send(target.getAttribute("action"), body);
});
setInterval(watch, 1000);
listen();
