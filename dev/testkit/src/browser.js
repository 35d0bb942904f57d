// What a reader sees of the page in this window: its text, the lowest contrast, and what is wrong with either.
// An expression; the window holds the whole page, so that points of it can be asked what stands there.
(() => {
  const faults = [];
  const root = document.documentElement;
  const short = text => JSON.stringify(text.trim().replace(/\s+/g, " ").slice(0, 60));

  // Wider than the window: whoever reads would have to scroll sideways. Tables may, in a box of their own.
  if (root.scrollWidth > innerWidth) {
    const wide = [...document.body.querySelectorAll("*")].filter(
      e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest(".scroll"));
    const names = wide.slice(0, 5).map(e => `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}">`);
    faults.push(`${root.scrollWidth} px wide: ${names.join(", ")}`);
  }

  const colour = text => {
    const found = text.match(/^rgba?\(([^)]*)\)$/);
    if (!found) return null;
    const [r, g, b, a = 1] = found[1].split(/[\s,\/]+/).map(Number);
    return [r, g, b, a];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  // Relative luminance and contrast as WCAG 2 defines them.
  const luminance = rgb => {
    const [r, g, b] = rgb.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const inDrawing = e => e instanceof SVGElement;
  // What an element lays over what is below it; nothing where it is not filled.
  const layer = e => {
    const style = getComputedStyle(e);
    const filled = inDrawing(e) && !["svg", "line", "polyline"].includes(e.tagName);
    const found = colour(filled ? style.fill : style.backgroundColor);
    if (!found) return null;
    found[3] *= (filled ? Number(style.fillOpacity) : 1) * Number(style.opacity);
    return found[3] > 0 ? found : null;
  };
  const behind = (element, x, y) => {
    const stack = document.elementsFromPoint(x, y);
    const at = stack.indexOf(element);
    const below = stack.slice(at).filter(e => e.tagName !== "text").map(layer).filter(Boolean);
    return at < 0 ? null : below.reverse().reduce((colour, top) => over(top, colour), [255, 255, 255]);
  };

  let lowest = 21, texts = 0;
  const see = (element, box, text) => {
    const style = getComputedStyle(element);
    const own = colour(inDrawing(element) ? style.fill : style.color);
    let seen = false;
    for (const part of [0.1, 0.5, 0.9]) {
      const ground = own && behind(element, box.left + part * box.width, box.top + box.height / 2);
      if (!ground) continue;
      seen = true;
      const found = contrast(over(own, ground), ground);
      lowest = Math.min(lowest, found);
      if (found < 4.5) {
        faults.push(`contrast ${found.toFixed(2)} of ${short(text)}: ${own} on ${ground.map(Math.round)}`);
        break;
      }
    }
    texts += seen;
    return seen;
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, element = node.parentElement;
    if (!node.data.trim() || ["title", "desc", "style"].includes(element.tagName.toLowerCase())) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = [...range.getClientRects()].find(box => box.width > 0);
    const clipped = element.closest(".scroll")?.getBoundingClientRect().right < (box?.left ?? 0) + 0.9 * (box?.width ?? 0);
    if (!box) faults.push(`not shown: ${short(node.data)}`);
    else if (!clipped && !see(element, box, node.data)) faults.push(`hidden behind something: ${short(node.data)}`);
  }

  // Drawings cut no text and set none upon another; letters reach less far than the lines that hold them.
  for (const drawing of document.querySelectorAll("svg")) {
    const frame = drawing.getBoundingClientRect();
    const seen = [];
    for (const element of drawing.querySelectorAll("text")) {
      if (!element.textContent.trim()) continue;
      const { left, right, top, bottom, height } = element.getBoundingClientRect();
      const box = { left, right, top: top + 0.2 * height, bottom: bottom - 0.2 * height };
      if (left < frame.left - 1 || right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push(`leaves its drawing: ${short(element.textContent)}`);
      for (const [other, text] of seen)
        if (box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)
          faults.push(`stands upon another: ${short(element.textContent)} and ${short(text)}`);
      seen.push([box, element.textContent]);
    }
  }
  return { text: document.body.innerText, faults, texts, contrast: lowest };
})()
