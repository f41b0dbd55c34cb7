"""The form of the start page: its template, its style, and the script that sorts and searches its tables.

The page is one file without a link to another host. Every number can be read without the script, which is why no
library of tables is embedded: theirs build the rows in the browser, from a bundle a hundred times as long. Charts are
Vega-Lite's, whose bundle is embedded where there is one.
"""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style | safe }}</style>
</head>
<body>
{%- macro table(grid) %}
<figure class="table" id="table-{{ grid.name }}">
<figcaption>{{ grid.caption }}
{%- for file in grid.files %} <a href="{{ file }}">{{ file.rpartition("/")[2] }}</a>{% endfor %}</figcaption>
<input type="search" placeholder="Search these {{ grid.rows | length }} rows" aria-label="Search in {{ grid.name }}">
<div class="scroll"><table>
<thead><tr>{% for header in grid.headers %}<th scope="col"><button type="button">{{ header }}</button></th>{% endfor %}
</tr></thead>
<tbody>
{%- for row in grid.rows %}
<tr>
{%- for entry in row -%}
<td{% if entry.number is not none %} class="number" data-value="{{ entry.number }}" title="{{ entry.number }}"
{%- endif %}>{{ entry.text }}</td>
{%- endfor -%}
</tr>
{%- endfor %}
</tbody>
</table></div>
</figure>
{%- endmacro %}
{%- macro figure(picture) %}
<figure id="figure-{{ picture.place | replace("/", "-") }}">
{%- if picture.image %}
<img src="data:image/png;base64,{{ picture.image }}" alt="{{ picture.place }}">
<figcaption>{{ picture.caption }} <a href="figures/{{ picture.place }}.png">PNG</a>
<a href="figures/{{ picture.place }}.pdf">PDF</a></figcaption>
{%- else %}
<figcaption><b>{{ picture.place }}</b> has nothing to show: {{ picture.reason }}</figcaption>
{%- endif %}
</figure>
{%- endmacro %}
<header>
<h1>{{ title }}</h1>
<nav>{% for section in sections %}<a href="#{{ section.name }}">{{ section.heading }}</a>{% endfor %}</nav>
</header>
<main>
{%- for section in sections %}
<section id="{{ section.name }}">
<h2>{{ section.heading }}</h2>
{%- for paragraph in section.paragraphs %}
<p>{{ paragraph }}</p>
{%- endfor %}
{%- for answer in section.answers %}
<div class="answer"><h3>{{ answer.question }}</h3>
<p><strong>{{ answer.short[0] | upper }}{{ answer.short[1:] }}.</strong>
{%- for sentence in answer.sentences %} {{ sentence }}{% endfor %}</p></div>
{%- endfor %}
{%- for picture in section.pictures %}{{ figure(picture) }}{% endfor %}
{%- for chart in section.charts %}
<figure class="chart" id="chart-{{ chart.name }}">
<div class="scroll drawing">Drawn by a script, which this reader does not run; the tables have the numbers.</div>
<figcaption>{{ chart.caption }}</figcaption>
<script type="application/json">{{ chart.specification | safe }}</script>
</figure>
{%- endfor %}
{%- for grid in section.grids %}
{%- if grid.folded %}
<details><summary>{{ grid.title }} ({{ grid.rows | length }} rows)</summary>{{ table(grid) }}</details>
{%- else %}{{ table(grid) }}{% endif %}
{%- endfor %}
</section>
{%- endfor %}
</main>
{%- if bundle %}
<script type="module">{{ bundle | safe }}</script>
{%- endif %}
<script type="module">{{ script | safe }}</script>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light; --line: #d0d4d9; --soft: #f4f6f8; --ink: #1b1f24; --link: #0b57a4; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.5rem 4rem; color: var(--ink); background: white;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0.5rem 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { margin: 0; font-size: 1rem; } p { max-width: 60rem; } a { color: var(--link); margin-right: 0.6rem; }
nav { position: sticky; top: 0; background: white; padding: 0.4rem 0; }
.answer { background: var(--soft); border-left: 4px solid var(--link); padding: 0.6rem 1rem; margin: 0.8rem 0; }
.answer p { margin: 0.2rem 0 0; }
figure { margin: 1.5rem 0; } figcaption { max-width: 60rem; color: #4b535c; font-size: 0.9rem; }
img { max-width: 100%; height: auto; } .scroll.drawing { max-height: none; border: 0; }
section > details { border-top: 1px solid var(--line); padding: 0.5rem 0; }
summary { cursor: pointer; font-weight: 600; }
#vg-tooltip-element table tr td.value { white-space: normal; overflow-wrap: anywhere; max-width: 30rem;
  max-height: none; }
input[type=search] { margin: 0.5rem 0; padding: 0.3rem 0.5rem; width: 18rem; max-width: 100%; font: inherit; }
.scroll { overflow: auto; max-height: 36rem; border: 1px solid var(--line); }
table { border-collapse: collapse; font-size: 0.85rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: var(--soft); text-align: left; padding: 0; }
th button { all: unset; cursor: pointer; padding: 0.35rem 0.6rem; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
td { padding: 0.25rem 0.6rem; border-top: 1px solid var(--line); } td.number { text-align: right; }
tbody tr:hover { background: var(--soft); }
"""

SCRIPT = """
for (const figure of document.querySelectorAll("figure.table")) {
  const body = figure.querySelector("tbody");
  const headers = [...figure.querySelectorAll("th")];
  figure.querySelector("input").addEventListener("input", event => {
    const words = event.target.value.toLowerCase().split(/\\s+/).filter(Boolean);
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
  });
  const key = cell => "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
  const compare = (one, other) => typeof one === "number" && typeof other === "number"
    ? one - other : String(one).localeCompare(String(other), "en", {numeric: true});
  headers.forEach((header, column) => header.querySelector("button").addEventListener("click", () => {
    const down = header.getAttribute("aria-sort") === "ascending";
    headers.forEach(other => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = [...body.rows].map(row => [key(row.cells[column]), row]);
    keyed.sort(([one], [other]) => one === "" || other === ""
      ? (one === "") - (other === "") : (down ? -1 : 1) * compare(one, other));
    body.append(...keyed.map(([, row]) => row));
  }));
}
for (const figure of document.querySelectorAll("figure.chart")) {
  const specification = JSON.parse(figure.querySelector("script").textContent);
  const options = {mode: "vega-lite", renderer: "svg", ast: true, actions: {export: true, source: false,
    compiled: false, editor: false}};
  window.vegaEmbed(figure.querySelector(".drawing"), specification, options);
}
"""
