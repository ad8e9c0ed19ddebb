"""Validity of the clusters of operating conditions (paper 2, tables 5 and 6)."""

import pandas as pd

from report.figures.drawing import Figure
from report.figures.rankings import criterion
from report.parts import Section
from report.run_folder import RunFolder
from report.table import plain_table

CRITERIA = {
    "fpc": "fuzzy partition coefficient",
    "silhouette": "silhouette",
    "calinski_harabasz": "Calinski-Harabasz",
}
"""What each criterion is called; the larger the better."""


def section(run: RunFolder) -> Section | None:
    """Draw each criterion over the number of clusters; the number in use is marked."""
    content = run.artifact("clusters.json")
    if not content or not content.get("table"):
        return None
    table, chosen = pd.DataFrame(content["table"]), content.get("chosen")
    table = table.apply(pd.to_numeric, errors="coerce")
    known = {name: title for name, title in CRITERIA.items() if name in table}
    drawings = [criterion(table, name, title, chosen) for name, title in known.items()]
    listed = plain_table("Validity of the clusters", table, {"n_clusters": "clusters", **known})
    best = {place: table[name].idxmax() for place, name in enumerate(known, start=1) if table[name].notna().any()}
    rows = []
    for number, row in enumerate(listed.rows):
        cells = [cell._replace(best=best.get(place) == number) for place, cell in enumerate(row.cells)]
        rows.append(row._replace(cells=cells, kind="own" if row.cells[0].value == chosen else ""))
    span = f"{table['n_clusters'].min():g} to {table['n_clusters'].max():g}"
    heading = f"{chosen} clusters were chosen among {span}" if chosen else "Clusters"
    figure = Figure("clusters", drawings, "Criteria over the number of clusters", wall=True)
    return Section("clusters", "Clusters", heading, tables=[listed._replace(rows=rows)], figures=[figure])
