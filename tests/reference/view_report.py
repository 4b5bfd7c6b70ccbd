"""Looks at a report in a browser: `python view_report.py work/report.html [--shots DIR]`.

Needs Chromium (`apt-get install chromium`, or CHROMIUM=/path/to/it) and `pip install playwright`. Checks, in light and
dark and at widths of 1280 and 400 pixels: nothing on the console, no request to anywhere, headings and pictures visible,
nothing wider than the window, words that stand out of what is behind them, plots whose words stay within them. Exits
with 1 and says what is wrong.
"""

import argparse
import os
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

HEADINGS = ["Summary", "Data", "Findings", "Plan", "Training", "Scores", "Worst cases"]

WIDER = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('.wide, nav ul'))
    .map(e => e.tagName + ' ' + (e.textContent || '').slice(0, 40));
}"""

OUTSIDE = """() => [...document.querySelectorAll('svg text')].filter(e => {
  const own = e.getBoundingClientRect(), plot = e.ownerSVGElement.getBoundingClientRect();
  return own.left < plot.left - 1 || own.right > plot.right + 1 || own.top < plot.top - 1 || own.bottom > plot.bottom + 1;
}).map(e => e.textContent + ' in ' + e.ownerSVGElement.getAttribute('aria-label'))"""

FAINT = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const e of document.querySelectorAll('h1, h2, h3, p, th, td, a, dt, dd, figcaption, caption, code, .tag, svg text')) {
    const style = getComputedStyle(e);
    const ink = light(parse(e instanceof SVGElement ? style.fill : style.color)), behind = light(ground(e));
    const ratio = (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    if (ratio < 4.5) faint.add(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 30));
  }
  return [...faint];
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--shots", type=pathlib.Path, help="write screenshots here")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    wrong = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ["light", "dark"]:
            for width in [1280, 400]:
                where = f"{scheme}, {width} px"
                page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
                page.on("console", lambda message: wrong.append(f"{where}: console: {message.text}"))
                page.on("pageerror", lambda error: wrong.append(f"{where}: {error}"))
                page.on(
                    "request",
                    lambda request: None
                    if request.url.startswith(("file:", "data:"))
                    else wrong.append(f"{where}: request to {request.url}"),
                )
                page.goto(arguments.report.resolve().as_uri())
                found = page.locator("h2").all_inner_texts()
                if found != HEADINGS or not all(h.is_visible() for h in page.locator("h2").all()):
                    wrong.append(f"{where}: headings are {found}, expected {HEADINGS}")
                broken = page.evaluate("() => [...document.images].filter(i => !i.naturalWidth || !i.alt).length")
                if broken:
                    wrong.append(f"{where}: {broken} pictures without content or description")
                wider = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wider > 0:
                    wrong.append(f"{where}: {wider} px too wide: {page.evaluate(WIDER)[:3]}")
                wrong += [f"{where}: words outside of a plot: {text}" for text in page.evaluate(OUTSIDE)]
                wrong += [f"{where}: contrast below 4.5: {text}" for text in page.evaluate(FAINT)]
                for link in page.locator("nav a").all():
                    if page.locator(link.get_attribute("href")).count() != 1:
                        wrong.append(f"{where}: a link leads nowhere: {link.inner_text()}")
                if arguments.shots:
                    arguments.shots.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=arguments.shots / f"{scheme}-{width}.png", full_page=True)
                page.close()
        browser.close()
    for text in wrong:
        print(text)
    print(f"{len(wrong)} wrong" if wrong else "looks right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
