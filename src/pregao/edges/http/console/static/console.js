// What the pages do beyond HTML: live events, actions through the API, relative times, keys. No framework but htmx.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const say = (text, values = {}) =>
  (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const tag = document.documentElement.lang;
const isEnglish = tag.startsWith("en"); // the desk's own words

// What a code means is said by the server, in the page's language; where it cannot be asked, the desk's words stand.
const meanings = new Map();

function meaningOf(code, told) {
  if (isEnglish || !code) return told;
  const asked = new URLSearchParams({ code, told: told.slice(0, 1000) }).toString();
  if (!meanings.has(asked)) {
    meanings.set(asked, fetch(`/console/meaning?${asked}`)
      .then((answer) => (answer.ok && !answer.redirected ? answer.text() : told))
      .catch(() => told));
  }
  return meanings.get(asked);
}

const explained = (problems) => Promise.all(problems.map(async (one) => ({ ...one, message: await meaningOf(one.code, one.message) })));

// --- times ---------------------------------------------------------------------------------------------------

const relative = new Intl.RelativeTimeFormat(tag, { numeric: "always", style: "short" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function showTimes(within) {
  for (const time of within.querySelectorAll("time:not([data-exact])")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
    const shown = relative.format(Math.trunc(seconds / size), unit);
    if (time.textContent !== shown) time.textContent = shown;
  }
  for (const countdown of within.querySelectorAll("[data-until]")) {
    const left = Math.max(0, Math.ceil((Date.parse(countdown.dataset.until) - Date.now()) / 1000));
    countdown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  }
}

// --- live events -----------------------------------------------------------------------------------------------
// An event only says that something changed; the parts of the page that show it ask for themselves again.

const NAMES = ["signal", "order", "fill", "position", "stop", "line", "execution", "guardrail", "unguarded", "drift",
  "trading_state", "flatten", "screener", "health", "bot", "account", "subscription", "alert", "channel"];
const tell = (name, detail) => document.body.dispatchEvent(new CustomEvent(`desk:${name}`, { detail }));
const lookAgain = () => NAMES.forEach((name) => tell(name, {}));
const fresh = new Set();
const RETRY_MS = 3000;
let isLost = false; // the stream
let isBehind = false; // a part asked and got no answer: it shows what was

function follow(address) {
  const source = new EventSource(address);
  const light = document.getElementById("live");
  const show = (kind, text) => {
    light.className = `state ${kind}`;
    light.textContent = say(text);
  };
  source.onopen = () => {
    show("good", "live");
    // What was missed is told again; a part that waited for none of it looks once all the same.
    if (isLost) lookAgain();
    isLost = false;
  };
  source.onerror = () => {
    show("warn", "reconnecting");
    isLost = true;
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(address), RETRY_MS); // it was answered with an error
  };
  source.addEventListener("reset", () => location.reload());
  for (const name of NAMES) {
    source.addEventListener(name, (event) => {
      const told = JSON.parse(event.data);
      const row = { order: told.order_id, fill: told.order_id, signal: told.signal_id, position: told.position_id }[name];
      if (row !== undefined) fresh.add(`${name === "fill" ? "order" : name}-${row}`);
      if (name === "unguarded" && !told.is_over) alarm(say("Position {id} stands without a stop", { id: told.position_id }));
      if (name === "alert" && told.level === "CRITICAL") alarmOf(told);
      tell(name, told);
    });
  }
  addEventListener("pagehide", () => source.close());
}

for (const mishap of ["htmx:error", "htmx:response:error"]) {
  document.body.addEventListener(mishap, () => { isBehind = true; });
}
setInterval(() => {
  if (!isBehind) return;
  isBehind = false;
  lookAgain();
}, RETRY_MS);

async function alarmOf({ code, about, title }) {
  if (isEnglish || !code) return alarm(title);
  alarm([about, await meaningOf(code, title)].filter(Boolean).join(": "));
}

function alarm(text) {
  toast(text, true);
  if (!document.title.startsWith("⚠")) document.title = `⚠ ${document.title}`;
}

document.body.addEventListener("htmx:after:swap", (event) => {
  const part = event.target instanceof Element ? event.target : document.body;
  showTimes(document.body);
  showForms();
  reachWide();
  keepAddress();
  for (const id of fresh) {
    const row = document.getElementById(id);
    if (!row || !part.contains(row)) continue;
    row.classList.remove("fresh");
    void row.offsetWidth; // so that the animation begins again
    row.classList.add("fresh");
    fresh.delete(id);
  }
});

// --- lists -------------------------------------------------------------------------------------------------------

// What scrolls sideways must be reached by keys as well.
function reachWide() {
  for (const box of document.querySelectorAll(".wide")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", reachWide);

// What somebody searches for stands in the address, so that it can be reloaded, kept and sent.
function keepAddress() {
  const address = (document.querySelector("[data-address]") ?? document.getElementById("list"))?.getAttribute("hx-get");
  if (!address || address === location.pathname + location.search) return;
  history.replaceState(null, "", address);
  for (const field of document.querySelectorAll('input[name="back"]')) field.value = address;
}

// --- actions -----------------------------------------------------------------------------------------------------

function toast(text, isBad = false) {
  const box = document.createElement("div");
  box.className = isBad ? "toast bad" : "toast";
  box.textContent = text;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), isBad ? 15000 : 5000);
}

async function send(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: method === "DELETE" ? undefined : JSON.stringify(body),
  });
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const unusable = (one) => (isEnglish ? one.msg : say("This value cannot be used."));
  const meaning = told.error && await meaningOf(told.error.code, told.error.message);
  const mistake = new Error(told.error ? `${told.error.code}: ${meaning}` : (told.detail ?? [])
    .map((one) => `${one.loc.at(-1)}: ${unusable(one)}`).join("; ") || say("The desk did not answer."));
  mistake.problems = told.error
    ? [{ field: told.error.details?.field ?? "", ...told.error, message: meaning }]
    : (told.detail ?? []).map((one) => ({ field: one.loc.slice(1).join("."), message: unusable(one), details: {} }));
  throw mistake;
}

// A path names in braces the fields that stand in it.
const addressOf = (form) => form.dataset.api.replace(/\{(\w+)\}/g, (whole, name) => encodeURIComponent(form.elements[name].value));
const ask = (form) => send(...addressOf(form).split(" "), changesOf(form));

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  if (form.dataset.word && form.elements.typed_word?.value.trim() !== form.dataset.word) {
    toast(say("Type {word} to go on.", { word: form.dataset.word }), true);
    return;
  }
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const told = await ask(form);
    if (form.dataset.stays === undefined) form.closest("dialog")?.close();
    toast(say(form.dataset.done ?? "Done."));
    if (form.dataset.resets !== undefined) form.reset();
    if (form.dataset.next) showNext(form, told);
    if (form.dataset.shows) document.getElementById(form.dataset.shown).textContent = told[form.dataset.shows] ?? "";
    if (form.dataset.keeps) keepSecret(told.bot_id ?? form.dataset.keeps, told.secret);
    if (form.dataset.changes !== undefined) first.set(form, JSON.stringify(bodyOf(form)));
    showProblems(form, []);
    if (form.dataset.check) checkSoon(form);
    tell("changed", told);
  } catch (mistake) {
    if (!showProblems(form, mistake.problems ?? [], { all: true })) toast(mistake.message, true);
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
});

// What goes in steps: the next one takes the place of this one, and shows what was answered.
function showNext(form, told) {
  const next = document.getElementById(form.dataset.next);
  for (const place of next.querySelectorAll("[data-told]")) {
    const value = told[place.dataset.told] ?? "";
    if (place instanceof HTMLImageElement) place.src = value;
    else place.textContent = Array.isArray(value) ? value.join("\n") : value;
  }
  form.reset();
  form.hidden = true;
  next.hidden = false;
  next.querySelector("input, button")?.focus();
}

// Steps begin anew with the next time, and what was shown once is gone.
document.addEventListener("close", (event) => {
  const [first, ...others] = event.target.querySelectorAll("form");
  if (!others.length) return;
  first.hidden = false;
  for (const form of others) {
    form.hidden = true;
    for (const place of form.querySelectorAll("[data-told]")) place.removeAttribute("src"), place.replaceChildren();
  }
}, true);

function openDialog(dialog, { acts, what, fill }) {
  const form = dialog.querySelector("form");
  if (acts) form.dataset.api = acts; // one dialog serves every row
  for (const [name, value] of Object.entries(JSON.parse(fill ?? "{}"))) {
    if (form.elements[name].type === "checkbox") form.elements[name].checked = value;
    else form.elements[name].value = value;
  }
  const named = dialog.querySelector("[data-what]");
  if (named) named.textContent = what ?? "";
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) openDialog(document.getElementById(opener.dataset.opens), opener.dataset);
  if (event.target.closest("[data-prints]")) print();
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
  const copied = event.target.closest("[data-copies]");
  if (copied) {
    navigator.clipboard.writeText(document.getElementById(copied.dataset.copies).textContent);
    toast(say("Copied."));
  }
});

// --- forms -------------------------------------------------------------------------------------------------------
// Names with dots are nested; a row of several is named by its place among them. What is not filled in is not sent.

function pathOf(field, form) {
  const row = field.closest("[data-row]");
  if (!row) return field.name.split(".");
  const rows = [...form.querySelectorAll(`[data-row="${row.dataset.row}"]`)];
  return [...row.dataset.row.split("."), rows.indexOf(row), ...field.name.split(".")];
}

const KINDS = {
  number: (text) => (text === "" ? null : Number(text)),
  days: (text) => new Date(Date.now() + Number(text) * 86400000).toISOString(), // from now
  list: (text) => text.split(/[\s,;]+/).filter(Boolean),
  yesno: (text) => ({ true: true, false: false })[text] ?? null,
  text: (text) => text, // empty is a text too
  rows: () => [], // of which others give the rows
  nothing: () => null, // unless others give its parts
};

function valueOf(field) {
  if (KINDS[field.dataset.kind]) return KINDS[field.dataset.kind](field.value);
  if (field.type === "checkbox") return field.checked;
  return field.value === "" ? null : field.value;
}

function put(body, path, value) {
  path.slice(0, -1).reduce((place, part, at) => (place[part] ??= typeof path[at + 1] === "number" ? [] : {}), body)[path.at(-1)] = value;
}

function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.dataset.local !== undefined || field.matches(":disabled")) continue;
    const path = pathOf(field, form);
    if (field.dataset.kind === "many") {
      const known = path.reduce((place, part) => place?.[part], body) ?? [];
      put(body, path, field.checked ? [...known, Number(field.value)] : known);
    } else if (field.value !== "" || field.dataset.empty !== undefined || ["rows", "nothing"].includes(field.dataset.kind)) {
      put(body, path, valueOf(field));
    }
  }
  return body;
}

const first = new WeakMap(); // what a form of changes said when it came: only what differs is sent

function changesOf(form) {
  const body = bodyOf(form);
  if (!first.has(form)) return body;
  const former = JSON.parse(first.get(form));
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(former[name])));
}

// What is wrong stands at its field, once somebody has been there; the API says what that is.

function placeOf(form, path) {
  for (let parts = path.split("."); parts.length; parts = parts.slice(0, -1)) {
    const wanted = parts.join(".");
    const place = [...form.elements].find((one) => one.name && one.type !== "hidden" && pathOf(one, form).join(".") === wanted)
      ?? form.querySelector(`[data-rows="${CSS.escape(wanted)}"]`);
    if (place) return place;
  }
  return null;
}

const wasTouched = (place) => place.dataset.touched !== undefined || place.querySelector?.("[data-touched]");

function showProblems(form, problems, { all = false } = {}) {
  form.querySelectorAll(".problem").forEach((one) => one.remove());
  form.querySelectorAll("[aria-invalid]").forEach((one) => one.removeAttribute("aria-invalid"));
  let isAllShown = problems.length > 0;
  for (const { field, message, details } of problems) {
    const place = placeOf(form, field);
    if (!place || !(all || wasTouched(place))) {
      isAllShown &&= place !== null;
      continue;
    }
    const told = document.createElement("small");
    told.className = "problem";
    told.setAttribute("role", "alert");
    told.textContent = details.minimum === undefined || details.maximum === undefined ? message : say("Between {minimum} and {maximum}.", details);
    place.setAttribute("aria-invalid", "true");
    (place.closest("label") ?? place).append(told);
  }
  return isAllShown;
}

const seen = new WeakSet();
const waiting = new WeakMap();
const CHECK_MS = 400;

function checkSoon(form, delay = CHECK_MS) {
  clearTimeout(waiting.get(form));
  waiting.set(form, setTimeout(() => check(form), delay));
}

async function check(form) {
  const asked = JSON.stringify(changesOf(form));
  const told = await send(...form.dataset.check.split(" "), JSON.parse(asked)).catch(() => null);
  const problems = told && await explained(told.problems);
  if (!told || asked !== JSON.stringify(changesOf(form))) return; // somebody has typed on
  showProblems(form, problems);
  const written = new Intl.NumberFormat(tag, { maximumFractionDigits: 2 });
  for (const slot of form.querySelectorAll("[data-effect]")) {
    const value = told.effect?.[slot.dataset.effect];
    slot.textContent = value == null ? "–" : written.format(value);
  }
}

function showChosen(form) {
  for (const part of form.querySelectorAll("[data-when]")) {
    const [name, ...values] = part.dataset.when.split(" ");
    part.disabled = part.hidden = !values.includes(form.querySelector(`[data-chooses="${name}"]`).value);
  }
}

function showForms() {
  for (const form of document.querySelectorAll("form[data-api]")) {
    if (seen.has(form)) continue;
    seen.add(form);
    showChosen(form);
    if (form.dataset.changes !== undefined) first.set(form, JSON.stringify(bodyOf(form)));
    if (form.dataset.check) checkSoon(form, 0);
  }
  for (const [bot, secret] of kept) keepSecret(bot, secret);
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.target.dataset.touched = "";
  showChosen(form);
  if (form.dataset.check) checkSoon(form);
});

document.addEventListener("click", (event) => {
  const adder = event.target.closest("[data-adds]");
  const remover = event.target.closest("[data-removes]");
  if (!adder && !remover) return;
  const form = event.target.closest("form");
  if (adder) {
    const rows = form.querySelector(`[data-rows="${adder.dataset.adds}"]`);
    rows.append(form.querySelector(`template[data-row-of="${adder.dataset.adds}"]`).content.cloneNode(true));
    rows.lastElementChild.querySelector("input, select")?.focus();
  } else remover.closest("[data-row]").remove();
  if (form.dataset.check) checkSoon(form);
});

// A secret is shown once: this page keeps it until it is left, and puts it where it is to be pasted from.
const kept = new Map();
const SLOT = "YOUR-SECRET";

function keepSecret(bot, secret) {
  kept.set(bot, secret);
  for (const slot of document.querySelectorAll(`[data-secret-of="${CSS.escape(bot)}"]`)) {
    if (slot instanceof HTMLInputElement) slot.value = secret;
    else slot.textContent = slot.textContent.replaceAll(SLOT, secret);
  }
  for (const hint of document.querySelectorAll(`[data-secret-gone="${CSS.escape(bot)}"]`)) hint.hidden = true;
  for (const form of document.querySelectorAll(`[data-secret-there="${CSS.escape(bot)}"]`)) form.hidden = false;
}

// --- keys --------------------------------------------------------------------------------------------------------

let waitsForPage = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (waitsForPage) {
    waitsForPage = false;
    document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "g") {
    waitsForPage = true;
    setTimeout(() => { waitsForPage = false; }, 1500);
  } else if (event.key === "/") {
    const field = document.querySelector('main input[type="search"]') ?? document.querySelector("main form[data-filters] select");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  } else if (event.key === "?") {
    document.getElementById("help")?.showModal();
  }
});

// --- charts ------------------------------------------------------------------------------------------------------

const colorOf = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
};

const figures = new Intl.NumberFormat(tag, { minimumFractionDigits: 2, maximumFractionDigits: 2 }); // of money

function drawCharts() {
  for (const box of document.querySelectorAll("[data-chart]")) {
    const chart = LightweightCharts.createChart(box, {
      autoSize: true,
      layout: { background: { color: "transparent" }, textColor: colorOf("faint") },
      grid: { vertLines: { visible: false }, horzLines: { color: colorOf("line") } },
      rightPriceScale: { borderVisible: false },
      timeScale: { borderVisible: false },
      localization: { locale: tag, priceFormatter: (price) => figures.format(price) },
    });
    const line = chart.addSeries(LightweightCharts.BaselineSeries, {
      topLineColor: colorOf("good"), bottomLineColor: colorOf("bad"), baseValue: { type: "price", price: 0 }, lineWidth: 2,
    });
    line.setData(JSON.parse(box.dataset.chart).map(({ time, value }) => ({ time, value: Number(value) })));
    chart.timeScale().fitContent();
  }
}

// Candles of a position with its fills and the way of its stop: drawn once, and given new data as the desk moves.
const CANDLES_EVERY_MS = 5000;
const seconds = (instant) => Math.floor(Date.parse(instant) / 1000);

function candlesIn(box) {
  const chart = LightweightCharts.createChart(box, {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: colorOf("faint") },
    grid: { vertLines: { visible: false }, horzLines: { color: colorOf("line") } },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderVisible: false, timeVisible: true, rightOffset: 2 }, // room for what is said of the last fill
    localization: { locale: tag, priceFormatter: (price) => figures.format(price) },
  });
  const [good, bad, warn] = ["good", "bad", "warn"].map(colorOf);
  const candles = chart.addSeries(LightweightCharts.CandlestickSeries, {
    upColor: good, downColor: bad, wickUpColor: good, wickDownColor: bad, borderVisible: false,
  });
  const stop = chart.addSeries(LightweightCharts.LineSeries, {
    color: warn, lineWidth: 2, lineType: LightweightCharts.LineType.WithSteps, priceLineVisible: false, crosshairMarkerVisible: false,
  });
  const fills = chart.addSeries(LightweightCharts.LineSeries, {
    color: colorOf("accent"), lineVisible: false, pointMarkersVisible: true, priceLineVisible: false, lastValueVisible: false,
  });
  const markers = LightweightCharts.createSeriesMarkers(candles, []);
  const targets = new Map();
  let isShown = false;

  return (told) => {
    const length = told.timeframe_seconds;
    const start = (instant) => seconds(instant) - seconds(instant) % length;
    // With more decimals than its prices have, the axis is as wide as numbers nobody sees.
    const decimals = Math.max(2, ...[
      ...told.candles.map(({ close }) => close), ...told.fills.map(({ price }) => price), ...told.stops.map(({ price }) => price),
    ].map((price) => (String(price).split(".")[1] ?? "").length));
    const written = new Intl.NumberFormat(tag, { minimumFractionDigits: 2, maximumFractionDigits: decimals });
    chart.applyOptions({ localization: { priceFormatter: (price) => written.format(price) } });
    candles.setData(told.candles.map(({ opened_at, open, high, low, close }) => ({
      time: start(opened_at), open: Number(open), high: Number(high), low: Number(low), close: Number(close),
    })));
    const known = new Set(told.candles.map(({ opened_at }) => start(opened_at)));
    const within = (time) => !known.size || known.has(time);
    const trail = new Map();
    for (const { at, price } of told.stops) {
      if (price !== null) trail.set(start(at), Number(price));
    }
    // A step is drawn from one candle to the next that moved it; the last one reaches to the end of what is held.
    const end = told.closed_at ? start(told.closed_at) : Math.max(...known, ...trail.keys(), 0);
    if (trail.size && !trail.has(end)) trail.set(end, [...trail.values()].at(-1));
    stop.setData([...trail].filter(([time]) => within(time)).sort(([one], [other]) => one - other)
      .map(([time, value]) => ({ time, value })));
    // Where no candle is told, fills stand as points: they are in the books, whatever the venue answers.
    const points = new Map(told.fills.map(({ at, price }) => [start(at), Number(price)]));
    fills.setData(known.size ? [] : [...points].map(([time, value]) => ({ time, value })));
    markers.setMarkers(told.fills.filter(({ at }) => within(start(at))).map(({ at, side, price, leg }) => ({
      time: start(at),
      position: side === "buy" ? "belowBar" : "aboveBar",
      shape: side === "buy" ? "arrowUp" : "arrowDown",
      color: leg === "entry" ? colorOf("accent") : colorOf("ink"),
      text: Number(price).toLocaleString(tag, { maximumFractionDigits: 8 }),
    })));
    for (const price of told.targets) {
      if (targets.has(price)) continue;
      targets.set(price, candles.createPriceLine({ price: Number(price), color: good, lineStyle: 2, lineWidth: 1 }));
    }
    box.dataset.drawn = told.candles.length;
    if (!isShown) chart.timeScale().fitContent(); // later data moves nothing that somebody looks at
    isShown = true;
  };
}

function followCandles(box) {
  const draw = candlesIn(box);
  const line = document.querySelector("[data-candles-say]");
  const look = async () => {
    try {
      const answer = await fetch(box.dataset.candles);
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.error?.message ?? answer.status);
      draw(told);
      line.textContent = told.code
        ? say("No candles now, fills and stops only: {code}", { code: `${told.code} ${told.reason}` })
        : say("Candles of {length}; arrows are fills, the line is the stop.", { length: told.timeframe });
    } catch (mistake) {
      line.textContent = say("The desk did not answer.");
    }
  };
  look();
  if (box.dataset.over === undefined) setInterval(() => { if (!document.hidden) look(); }, CANDLES_EVERY_MS);
}

if (window.LightweightCharts) drawCharts();
if (window.LightweightCharts) document.querySelectorAll("[data-candles]").forEach(followCandles);
showTimes(document.body);
showForms(); // now, not with the first part that moves: what was typed before that would be taken for how the form came
reachWide();
setInterval(() => showTimes(document.body), 1000);
if (document.body.dataset.live) follow(document.body.dataset.live);
