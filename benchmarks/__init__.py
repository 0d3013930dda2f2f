"""Measurements, one module each: `make bench` runs all, `make bench B=bench_name` one of them."""
