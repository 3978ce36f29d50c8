# SPDX-License-Identifier: Apache-2.0
"""Medians, and what is printed of them."""
import statistics

SHAPES = {"keyed": "16-byte key", "unkeyed": "no key"}
# Sluice's own figures may fall short of the kernel's whole-process ones by what starting costs, not by more.
OUTSIDE_EXCESS_MAX = 0.10


def run_line(row):
    head = f"round {row['round']} {row['shape']:7} {row['producer']}, {row['variant']}: "
    if "invalid" in row:
        return head + "INVALID, " + row["invalid"]
    return (head + f"{row['total']:.0f} ns ({row['application']:.0f} + {row['agent']:.0f}), "
            f"{row['records_per_s'] / 1e6:.2f} M/s, others {row['outside']:.0%} of a core"
            + (", DISTURBED" if row["disturbed"] else ""))


def _median_row(runs):
    """Over the undisturbed runs; where there is none, over all, and `undisturbed` says 0."""
    valid = [row for row in runs if "invalid" not in row]
    quiet = [row for row in valid if not row["disturbed"]]
    used = quiet or valid
    median = {key: runs[0][key] for key in ("shape", "producer", "variant")}
    median.update(runs=len(valid), undisturbed=len(quiet), of=len(runs))
    if used:
        for key in ("application", "agent", "total", "records_per_s"):
            median[key] = statistics.median(row[key] for row in used)
        median["range"] = [min(row["total"] for row in used), max(row["total"] for row in used)]
        outside = [sum(row["from_outside"].values()) for row in used if "from_outside" in row]
        if outside:
            median["from_outside"] = statistics.median(outside)
    return median


def _best(rows):
    return min(rows, key=lambda row: row.get("total", float("inf")))


def medians(runs):
    groups = {}
    for row in runs:
        groups.setdefault((row["shape"], row["producer"], row["variant"]), []).append(row)
    rows = [_median_row(group) for group in groups.values()]
    for shape in {row["shape"] for row in rows}:
        ours = [row for row in rows if row["shape"] == shape and row["producer"] == "Sluice" and "total" in row]
        for row in rows:
            if row["shape"] != shape:
                continue
            mates = [mate for mate in rows if mate["shape"] == shape and mate["producer"] == row["producer"]]
            row["best"] = row is _best(mates)
            # The first of Sluice's variants is the one that everything is compared with.
            if ours and "total" in row:
                row["ratio"] = row["total"] / ours[0]["total"]
    return rows


def _table_row(row):
    name = f"{row['producer']}, {row['variant']}"
    if "total" not in row:
        return f"| {name} | no valid run | | | | | | 0 of {row['of']} |"
    agent = f"{row['agent']:.0f}" if row["producer"] == "Sluice" else "-"
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
    total = f"**{row['total']:.0f}**" if row["best"] else f"{row['total']:.0f}"
    return (f"| {name} | {row['application']:.0f} | {agent} | {total} | {ratio} | {row['records_per_s'] / 1e6:.2f} | "
            f"{row['range'][0]:.0f}-{row['range'][1]:.0f} | {row['undisturbed']} of {row['of']} |")


def markdown(about, rows, runs):
    place = "each producer on core 0, broker on core 1" if about["pinned"] else "not pinned"
    lines = [f"{about['broker']}, {place}; {about['records']} records of {about['value_bytes']} B after "
             f"{about['warmup']} for warm-up; {about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, "
             f"{about['when']}"]
    lines += sorted({row["version"] for row in runs if "version" in row and row["producer"] != "Sluice"})
    for shape in dict.fromkeys(row["shape"] for row in rows):
        lines += ["", f"### {SHAPES[shape]}", "",
                  "| producer | ns/record application | agent | total | ratio to Sluice | M records/s | range | undisturbed |",
                  "|---|---|---|---|---|---|---|---|"]
        lines += [_table_row(row) for row in rows if row["shape"] == shape]
        for row in rows:
            if row["shape"] == shape and row.get("from_outside", 0) > row.get("total", 0) * (1 + OUTSIDE_EXCESS_MAX):
                lines += ["", f"Sluice, {row['variant']}: its processes, starting included, used {row['from_outside']:.0f} "
                          "ns a record by the kernel's account: more than they report."]
    if any(row["undisturbed"] == 0 for row in rows):
        lines += ["", "Rows with 0 undisturbed runs show the median of disturbed ones."]
    return "\n".join(lines)
