// Boxes over the playing video, the playhead, and moving video or audio by pointer and keyboard.
(() => {
  const current = { text: null, data: null, verdict: null };
  const media = () => document.querySelector("#player .stage video, #player .stage img");
  const video = () => document.querySelector("#player .stage video, #player .stage audio");

  function overlay() {
    const holder = document.querySelector("#timeline .overlay-data");
    const text = holder ? holder.dataset.overlay : null;
    if (text !== current.text) {
      current.text = text;
      current.data = text ? JSON.parse(text) : null;
    }
    return current.data;
  }

  // What the detectors say in each window, as captions that the player's own button shows.
  function caption(data) {
    const player = video();
    if (!player || player.captioned === data) return;
    player.captioned = data;
    const track = player.captions || (player.captions = player.addTextTrack("captions", "Detectors", document.documentElement.lang || "en"));
    for (const cue of [...(track.cues || [])]) track.removeCue(cue);
    for (const [start, stop, text] of (data && data.captions) || []) {
      const cue = new VTTCue(start, stop, "");
      cue.text = text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
      track.addCue(cue);
    }
    track.mode = track.mode === "showing" ? "showing" : "hidden";
  }

  // Where a face is at a moment, between two known places; null where it was not followed.
  function placeAt(track, time) {
    const first = track[0], last = track[track.length - 1], slack = 0.08;
    if (!track.length || time < first[0] - slack || time > last[0] + slack) return null;
    let low = 0, high = track.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (track[middle][0] <= time) low = middle; else high = middle;
    }
    const a = track[low], b = track[high];
    const share = b[0] > a[0] ? Math.min(1, Math.max(0, (time - a[0]) / (b[0] - a[0]))) : 0;
    return [1, 2, 3, 4].map((i) => a[i] + share * (b[i] - a[i]));
  }

  // The image inside of its element, without the bars beside it, in px.
  function imageRect(element) {
    const width = element.videoWidth || element.naturalWidth, height = element.videoHeight || element.naturalHeight;
    if (!width || !height) return null;
    const scale = Math.min(element.clientWidth / width, element.clientHeight / height);
    return { left: element.offsetLeft + (element.clientWidth - width * scale) / 2, top: element.offsetTop + (element.clientHeight - height * scale) / 2, width: width * scale, height: height * scale };
  }

  function drawBoxes(element, data) {
    const layer = element.parentElement.querySelector(".boxes");
    if (!layer) return;
    const rect = data && imageRect(element), time = element.currentTime || 0;
    const faces = !rect ? [] : data.faces.map((face) => ({ face, box: face.tracks.map((t) => placeAt(t, time)).find((b) => b) })).filter((f) => f.box);
    while (layer.children.length > faces.length) layer.lastChild.remove();
    while (layer.children.length < faces.length) {
      const box = document.createElement("div");
      box.appendChild(document.createElement("span"));
      layer.appendChild(box);
    }
    const named = []; // where names stand already: left, right and top, px
    faces.forEach(({ face, box }, i) => {
      const node = layer.children[i];
      node.className = face.key;
      node.style.left = `${rect.left + box[0] * rect.width}px`;
      node.style.top = `${rect.top + box[1] * rect.height}px`;
      node.style.width = `${(box[2] - box[0]) * rect.width}px`;
      node.style.height = `${(box[3] - box[1]) * rect.height}px`;
      const label = node.firstChild;
      if (label.textContent !== face.label) label.textContent = face.label;
      const shift = Math.min(-2, layer.clientWidth - node.offsetLeft - label.offsetWidth - 6); // never beyond the right edge
      label.style.left = `${shift}px`;
      node.classList.toggle("low", box[1] * rect.height < 26);
      const left = node.offsetLeft + shift, right = left + label.offsetWidth, top = node.offsetTop;
      const taken = named.some((one) => left < one.right && one.left < right && Math.abs(top - one.top) < 26);
      node.classList.toggle("under", taken);
      if (!taken) named.push({ left, right, top });
    });
  }

  function drawPlayhead(data) {
    const head = document.querySelector("#timeline .playhead i"), seek = document.querySelector("#timeline .seek"), player = video();
    if (!head || !seek || !player || !data || !data.duration_s) return;
    head.style.left = `${Math.min(100, (100 * player.currentTime) / data.duration_s)}%`;
    if (document.activeElement !== seek) seek.value = player.currentTime;
    const words = saidAt(player.currentTime, data.duration_s);
    if (seek.getAttribute("aria-valuetext") !== words) seek.setAttribute("aria-valuetext", words);
  }

  // Seconds as the language of the timeline writes them.
  function tenths(time) {
    const one = { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false };
    return time.toLocaleString(document.querySelector("#timeline .dd").lang || "en", one);
  }

  // The moment, and what each row of the timeline says of it.
  function saidAt(time, duration) {
    const place = (100 * (time + 0.01)) / duration, texts = [`${tenths(time)} s`];
    for (const row of document.querySelectorAll("#timeline .row")) {
      const cell = [...row.querySelectorAll(".cell")].find((one) => {
        const left = parseFloat(one.style.left);
        return left <= place && place < left + parseFloat(one.style.width);
      });
      if (cell) texts.push(`${row.querySelector(".name").textContent.trim()} ${cell.textContent.trim()}`.trim());
    }
    return texts.join(" · ");
  }

  // The same for those who see it: a line below the timeline while the keys move through it.
  function tellMoment(seek, time) {
    const tip = document.querySelector("#timeline .value");
    tip.textContent = saidAt(time, Number(seek.max));
    tip.hidden = false;
    tip.style.cssText = "top: calc(100% + 4px); bottom: auto; left: 0; max-width: 100%; transform: none"; // the face stays in view
  }

  // A new verdict comes into view and into focus, so that nobody misses it.
  function showVerdict() {
    const verdict = document.querySelector("#answer .verdict");
    if (verdict === current.verdict) return;
    current.verdict = verdict;
    if (!verdict) return;
    const top = verdict.getBoundingClientRect().top;
    if (top < 0 || top > window.innerHeight * 0.5) verdict.scrollIntoView({ block: "start", behavior: "smooth" });
    verdict.focus({ preventScroll: true });
  }

  function seekTo(time) {
    const player = video();
    if (!player) return;
    player.currentTime = Math.max(0, time + 0.001);
    const rect = player.getBoundingClientRect();
    if (rect.bottom < 80 || rect.top > window.innerHeight - 80) player.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-seek]");
    if (link) seekTo(Number(link.dataset.seek));
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("#timeline .seek")) seekTo(Number(event.target.value));
  });
  // An explained word's tip stays in the window, below the word where there is no room above.
  function fitTip(event) {
    const word = event.target.closest ? event.target.closest(".term") : null, tip = word && word.querySelector(".tip");
    if (!tip) return;
    tip.style.translate = "";
    tip.classList.remove("below");
    const place = tip.getBoundingClientRect(), width = document.documentElement.clientWidth;
    tip.style.translate = `${Math.max(8 - place.left, Math.min(0, width - 8 - place.right))}px`;
    tip.classList.toggle("below", place.top < 0);
  }
  document.addEventListener("pointerover", fitTip);
  document.addEventListener("focusin", fitTip);
  // What the cell under the pointer says; the slider lies over all of them.
  document.addEventListener("pointermove", (event) => {
    const tip = document.querySelector("#timeline .value");
    if (!tip) return;
    const under = event.target.matches("#timeline .seek") ? document.elementsFromPoint(event.clientX, event.clientY) : [];
    const cell = under.find((one) => one.matches(".cell"));
    tip.hidden = !cell;
    if (!cell) return;
    const area = tip.parentElement.getBoundingClientRect(), place = (100 * (event.clientX - area.left)) / area.width;
    tip.textContent = cell.title;
    tip.style.top = "auto";
    tip.style.bottom = `${area.bottom - cell.getBoundingClientRect().top + 4}px`;
    tip.style.left = `${place}%`;
    tip.style.transform = `translateX(-${place}%)`; // never beyond the ends of the timeline
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step || !event.target.matches || !event.target.matches("#timeline .seek")) return;
    event.preventDefault();
    const stops = event.target.dataset.stops.split(" ").map(Number), now = Number(event.target.value);
    const next = step > 0 ? stops.find((s) => s > now + 0.05) : stops.filter((s) => s < now - 0.05).pop();
    if (next !== undefined) { event.target.value = next; seekTo(next); tellMoment(event.target, next); }
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.matches("#timeline .seek")) document.querySelector("#timeline .value").hidden = true;
  });

  // What is too large or of no kind that can be examined is refused at the drop zone, before it is sent.
  const KINDS = /^(video|image|audio)\/|^$|zip|octet-stream|matroska|json/;

  function refuse(event, files) {
    const zone = [...document.querySelectorAll(".limits[data-for]")].find((one) => {
      const place = document.getElementById(one.dataset.for);
      return place && place.contains(event.target);
    });
    if (!zone) return;
    const large = [...files].some((file) => file.size > Number(zone.dataset.mb) * 1e6);
    const odd = [...files].some((file) => !KINDS.test(file.type));
    let words = zone.parentElement.querySelector(".refused");
    if (words) words.remove();
    if (!large && !odd) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.target.matches("input")) event.target.value = "";
    words = document.createElement("p");
    words.className = "refused";
    words.setAttribute("role", "alert");
    words.textContent = large ? zone.dataset.large : zone.dataset.kind;
    zone.after(words);
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("input[type=file]")) refuse(event, event.target.files);
  }, true);
  document.addEventListener("drop", (event) => refuse(event, event.dataTransfer ? event.dataTransfer.files : []), true);

  function frame() {
    const element = media(), data = overlay();
    if (element) drawBoxes(element, data);
    caption(data);
    drawPlayhead(data);
    showVerdict();
    requestAnimationFrame(frame);
  }
  requestAnimationFrame(frame);
})();
