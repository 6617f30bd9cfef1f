#include "control/status_page.h"

namespace slipgate {

const std::string_view kStatusPage = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>slipgate</title>
<style>
  :root {
    color-scheme: light dark;
  }
  @media (prefers-color-scheme: light) { :root { --ground: #f6f7f9; --card: #fff; --ink: #1c222b; --faint: #66707f;
    --line: #e2e6eb; --in: #1769c8; --out: #c2560a; --bad: #b3261e; } }
  @media (prefers-color-scheme: dark) { :root { --ground: #14171c; --card: #1d2128; --ink: #e4e8ee; --faint: #949eac;
    --line: #2d333c; --in: #5aa7ff; --out: #ff9d52; --bad: #ff8a80; } }
  * { box-sizing: border-box; }
  body { margin: 0; padding: 1.2rem; background: var(--ground); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
  main { max-width: 76rem; margin: auto; display: grid; gap: 1rem; }
  header { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; align-items: baseline; }
  h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: .95rem; margin: 0 0 .6rem; }
  header span, .faint { color: var(--faint); }
  section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1rem; overflow-x: auto; }
  .numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .8rem; }
  .numbers b { display: block; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th { text-align: left; font-weight: 500; color: var(--faint); padding: .2rem .8rem .3rem 0; white-space: nowrap; }
  td { border-top: 1px solid var(--line); padding: .3rem .8rem .3rem 0; white-space: nowrap; }
  .right { text-align: right; }
  svg { display: block; } svg.large { width: 100%; height: 130px; } svg.small { width: 120px; height: 24px; }
  polyline { fill: none; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
  .in { stroke: var(--in); } .out { stroke: var(--out); }
  .key i { display: inline-block; width: .8em; height: .2em; margin: 0 .35em .2em 1em; background: var(--in); }
  .key b, .key span { font-weight: 400; } .key i.two { background: var(--out); }
  #lost { color: var(--bad); }
</style>
<main>
  <header><h1 id="name">slipgate</h1><span id="listen"></span><span id="uptime"></span><span id="lost" role="status"></span></header>
  <section class="numbers" id="numbers" aria-label="totals"></section>
  <section>
    <h2>Throughput <span class="key faint"><i></i><b id="in">from inside</b><i class="two"></i><b id="out">to inside</b> <span id="peak"></span></span></h2>
    <svg class="large" id="throughput" viewBox="0 0 119 100" preserveAspectRatio="none" role="img" aria-label="bytes a second, the last two minutes"></svg>
  </section>
  <section><h2>Peers</h2><table id="peers"></table></section>
  <section><h2>Flows <span class="faint" id="flows-shown"></span></h2><table id="flows"></table></section>
  <section><h2>Dropped</h2><table id="drops"></table></section>
</main>
<script>
'use strict';
const kKept = 120, graphs = new Map();  // graphs by name, the last two minutes of each
const $ = id => document.getElementById(id);
const units = (value, names, step) => {
  let at = 0;
  for (; value >= step && at + 1 < names.length; at++) value /= step;
  return (at && value < 100 ? value.toFixed(1) : Math.round(value)) + ' ' + names[at];
};
const bytes = value => units(value, ['B', 'kB', 'MB', 'GB', 'TB'], 1000);
const rate = value => bytes(value) + '/s';
const time = value => value == null ? 'never' : value < 120 ? Math.round(value) + ' s' : value < 7200 ?
  Math.round(value / 60) + ' min' : value < 172800 ? Math.round(value / 3600) + ' h' : Math.round(value / 86400) + ' d';

const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text instanceof Node) made.append(text); else if (text != null) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
// Rows of [text, class]; what they hold is text, never markup.
const table = (at, heads, rows, empty) => {
  const head = element('tr'), all = [head];
  for (const [text, kind] of heads) head.append(element('th', text, kind));
  for (const row of rows) {
    const line = element('tr');
    row.forEach((cell, i) => line.append(element('td', cell, heads[i][1])));
    all.push(line);
  }
  if (!rows.length) all.splice(0, 1, element('tr', element('td', empty, 'faint')));
  at.replaceChildren(...all);
};
// The change a second of two counters, remembered under a name.
const measure = (name, input, output, now) => {
  let known = graphs.get(name);
  if (!known) graphs.set(name, known = {points: []});
  const span = now - known.at;
  let point = [0, 0];
  if (span > 0 && input >= known.input && output >= known.output) {
    point = [(input - known.input) / span, (output - known.output) / span];
  }
  if (known.at) known.points.push(point);
  if (known.points.length > kKept) known.points.shift();
  Object.assign(known, {at: now, input, output});
  return known.points;
};
const draw = (svg, points, height) => {
  const most = Math.max(1, ...points.flat());
  svg.replaceChildren(...[['in', 0], ['out', 1]].map(([kind, side]) => {
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    line.setAttribute('class', kind);
    line.setAttribute('points', points.map((point, i) =>
      `${kKept - points.length + i},${(height - 1 - point[side] / most * (height - 2)).toFixed(2)}`).join(' '));
    return line;
  }));
  return most;
};
const small = points => {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'small');
  svg.setAttribute('viewBox', '0 0 119 24');
  svg.setAttribute('preserveAspectRatio', 'none');
  draw(svg, points, 24);
  return svg;
};
const last = points => points.length ? points[points.length - 1] : [0, 0];

const show = ({status, flows, flows_total}) => {
  const now = status.uptime_seconds;
  document.title = status.name + ' · slipgate';
  $('name').textContent = status.name;
  $('listen').textContent = 'UDP ' + status.listen;
  $('uptime').textContent = 'up ' + time(now);
  const total = measure('', status.bytes.from_link, status.bytes.to_link, now);
  const most = draw($('throughput'), total, 100);
  $('in').textContent = 'from inside ' + rate(last(total)[0]);
  $('out').textContent = 'to inside ' + rate(last(total)[1]);
  $('peak').textContent = total.length ? '· top of the graph ' + rate(most) : '';
  $('numbers').replaceChildren(...[['Flows', status.flows], ['TCP connections', status.tcp_connections],
    ['Handshakes', status.handshakes], ['DNS queries', status.dns_queries], ['From inside', bytes(status.bytes.from_link)],
    ['To inside', bytes(status.bytes.to_link)]].map(([what, value]) => {
      const box = element('div', what, 'faint');
      box.prepend(element('b', value));
      return box;
    }));
  const known = new Set(['']);
  table($('peers'), [['Name'], ['Endpoint'], ['Handshake', 'right'], ['Received', 'right'], ['Sent', 'right'],
    ['In', 'right'], ['Out', 'right'], ['Two minutes']], status.peers.map(peer => {
      known.add(peer.public_key);
      const points = measure(peer.public_key, peer.received_bytes, peer.sent_bytes, now);
      const handshake = peer.seconds_since_handshake;
      return [peer.name || peer.public_key, peer.endpoint || '–', handshake == null ? 'never' : time(handshake) + ' ago',
        bytes(peer.received_bytes), bytes(peer.sent_bytes), rate(last(points)[0]), rate(last(points)[1]), small(points)];
    }), 'no peers');
  for (const name of graphs.keys()) if (!known.has(name)) graphs.delete(name);
  $('flows-shown').textContent = flows_total > flows.length ? `the busiest ${flows.length} of ${flows_total}` : '';
  table($('flows'), [['Client'], ['Inside'], ['Outside'], ['State'], ['Up', 'right'], ['Down', 'right'],
    ['Up/s', 'right'], ['Down/s', 'right'], ['Age', 'right'], ['Idle', 'right']], flows.map(flow => [flow.client,
      flow.protocol, flow.host || '–', flow.state, bytes(flow.bytes_up), bytes(flow.bytes_down), rate(flow.up_per_second),
      rate(flow.down_per_second), time(flow.age_seconds), time(flow.idle_seconds)]), 'none at the moment');
  table($('drops'), [['Reason'], ['What happened'], ['Times', 'right']], Object.entries(status.drops)
    .sort((a, b) => b[1] - a[1]).map(([reason, times]) => [reason, status.drop_descriptions[reason], times]), 'nothing');
};
const poll = async () => {
  try {
    const answer = await fetch('status.json', {cache: 'no-store', signal: AbortSignal.timeout(5000)});
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.json());
    $('lost').textContent = '';
  } catch (error) {
    $('lost').textContent = 'no answer from the gateway: ' + error.message;
  }
  setTimeout(poll, 1000);
};
poll();
</script>
</html>
)html";

}  // namespace slipgate
