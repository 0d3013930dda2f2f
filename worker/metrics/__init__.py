"""`usher metrics` shows what is counted, as Prometheus reads it.

Begin reading at `snapshot.py` (one look at the ledger); `exposition.py` names the metrics.
"""
