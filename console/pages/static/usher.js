/* What a page of the console does beside showing itself. Each part works on what the page holds; without
   this script every form still works. Nothing is loaded from elsewhere. */

(() => {
  "use strict";

  const html = document.documentElement;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const numbers = new Intl.NumberFormat(html.lang);

  /* The reader's zone: the server writes times in it from the next page on; this one is put right here. */
  const setCookie = (name, value) => { document.cookie = `${name}=${encodeURIComponent(value)};path=/;max-age=31536000;samesite=strict`; };
  const tellTimes = (root) => {
    if (!zone || html.dataset.zone === zone) return;
    const locale = html.lang === "de" ? "de" : "en-GB";
    const form = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
    for (const time of root.querySelectorAll("time[datetime]")) time.textContent = form.format(new Date(time.dateTime));
    for (const name of root.querySelectorAll("[data-zone-name]")) name.textContent = zone;
  };
  if (zone && html.dataset.zone !== zone) setCookie("usher_zone", zone);

  /* A file is dropped on the field that also lets one be chosen; either sends the form. */
  const drops = (root) => {
    for (const drop of root.querySelectorAll("[data-drop]")) {
      const input = drop.querySelector("input[type=file]");
      const mark = (on) => (event) => { event.preventDefault(); drop.classList.toggle("over", on); };
      drop.addEventListener("dragover", mark(true));
      drop.addEventListener("dragleave", mark(false));
      drop.addEventListener("drop", (event) => {
        mark(false)(event);
        if (!event.dataTransfer.files.length) return;
        input.files = event.dataTransfer.files;
        input.form.requestSubmit();
      });
      input.addEventListener("change", () => { if (input.files.length) input.form.requestSubmit(); });
    }
  };

  /* One box ticks all rows that are shown. */
  const ticks = (root) => {
    for (const all of root.querySelectorAll("[data-all]")) {
      const boxes = () => all.form.querySelectorAll(`input[name="${all.dataset.all}"]`);
      all.closest("[hidden]")?.removeAttribute("hidden");
      all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; });
    }
  };

  /* A form that takes a while is sent once, and says so. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const button = event.submitter;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (form.method === "post" && !form.hasAttribute("hx-post")) form.dataset.sent = "yes";
    if (button && button.dataset.busy) { button.textContent = button.dataset.busy; button.setAttribute("aria-busy", "true"); }
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  /* A job, or a submission with its jobs: every event brings the counts; what changes in words is asked for anew. The time left is what the
     last twenty seconds say, and never less than the quota allows. */
  const SAMPLES_MS = 20000;
  const span = (seconds) => {
    const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
    const [size, unit] = units.find(([one]) => seconds >= one) || [1, "second"];
    return new Intl.NumberFormat(html.lang, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 })
      .format(Math.max(1, Math.round(seconds / size)));
  };
  const follow = (live) => {
    const samples = [];
    let seen = live.dataset.seen;
    const put = (name, value) => {
      for (const place of live.querySelectorAll(`[data-count="${name}"]`)) {
        place.textContent = numbers.format(value);
        const item = place.closest("[data-hides]");
        if (item) item.hidden = !value;
      }
    };
    const tell = (job) => {
      const finished = job.rows - job.pending;
      for (const [name, value] of Object.entries(job)) if (typeof value === "number") put(name, value);
      put("finished", finished);
      for (const one of job.jobs || []) {
        for (const [name, value] of Object.entries(one)) if (typeof value === "number") put(`${one.job}.${name}`, value);
      }
      for (const [stage, counts] of Object.entries(job.stages || {})) {
        for (const [name, value] of Object.entries(counts)) put(`${stage}.${name}`, value);
        put(`${stage}.finished`, counts.rows - counts.pending);
      }
      const bar = live.querySelector("progress");
      /* Stages are work too: a bar that is full while they go on would lie. */
      const parts = [job, ...Object.values(job.stages || {})];
      const all = parts.reduce((sum, one) => sum + one.rows, 0);
      const pending = parts.reduce((sum, one) => sum + one.pending, 0);
      if (bar) { bar.max = Math.max(1, all); bar.value = all - pending; }
      const now = Date.now();
      samples.push([now, all - pending]);
      while (now - samples[0][0] > SAMPLES_MS) samples.shift();
      const took = (now - samples[0][0]) / 1000;
      const rate = took >= 1 ? (all - pending - samples[0][1]) / took : 0;
      const left = live.querySelector("[data-left]");
      if (left) {
        const knows = job.state === "running" && rate > 0 && pending > 0;
        const least = (Number(live.dataset.notBefore || 0) - now) / 1000;
        left.textContent = knows ? left.dataset.left.replace("%s", span(Math.max(pending / rate, least))) : "";
      }
    };
    const events = new EventSource(live.dataset.events);
    const take = (event) => {
      let job;
      try { job = JSON.parse(event.data); } catch { return; }
      if (typeof job.rows !== "number") return;
      tell(job);
      const now = [job, ...(job.jobs || [])].map((one) => `${one.state}|${one.why || ""}`).join(" ");
      if (now === seen) return;
      seen = now;
      if (["done", "cancelled"].includes(job.state) && !job.pending) events.close();
      htmx.ajax("GET", live.dataset.now, { target: "#job", swap: "outerHTML" });
      htmx.trigger(document.body, "usher:job-moved");
    };
    for (const name of ["message", "job", "submission", "end"]) events.addEventListener(name, take);
    window.addEventListener("pagehide", () => events.close(), { once: true });
    live.addEventListener("htmx:beforeCleanupElement", () => events.close(), { once: true });
  };

  const begin = (root) => {
    tellTimes(root);
    drops(root);
    ticks(root);
    for (const live of root.querySelectorAll("[data-events]")) follow(live);
  };
  begin(document);
  document.addEventListener("htmx:load", (event) => {
    if (event.detail.elt !== document.body) begin(event.detail.elt.parentElement || event.detail.elt);
  });
})();
