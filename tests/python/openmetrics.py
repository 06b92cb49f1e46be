"""Reads a page of metrics from a file with Prometheus' own OpenMetrics parser.

    openmetrics.py FILE

Prints `pass` and, for each exemplar, the name of its sample, its trace id and its value.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as page:
    families = list(text_string_to_metric_families(page.read()))
print(f"pass {len(families)} families", flush=True)
for family in families:
    for sample in family.samples:
        if sample.exemplar:
            exemplar = sample.exemplar
            print(f"pass exemplar {sample.name} {exemplar.labels['trace_id']} {exemplar.value}", flush=True)
