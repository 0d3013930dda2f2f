import tracemalloc

from tasks.lists.duplicates import SeenAddresses


def test_the_first_row_with_an_address_is_named() -> None:
    """A duplicate is told which row had the address before, however often it comes."""
    seen = SeenAddresses()
    assert seen.first("ann@a.example", 4) is None
    assert seen.first("bob@a.example", 5) is None
    assert seen.first("ann@a.example", 9) == 4
    assert seen.first("ann@a.example", 10) == 4
    assert len(seen) == 2


def test_growing_forgets_nobody() -> None:
    """Every address is still known after the index has doubled many times."""
    seen = SeenAddresses()
    assert [seen.first(f"g{n}@a.example", n) for n in range(30_000)] == [None] * 30_000
    assert [seen.first(f"g{n}@a.example", -1) for n in range(30_000)] == list(range(30_000))


def test_a_million_addresses_would_take_less_than_110_mb() -> None:
    """Memory per address, the peak while the index doubles included."""
    tracemalloc.start()
    try:
        seen = SeenAddresses()
        for n in range(40_000):
            seen.first(f"guest{n}@partner.example", n)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 40_000 < 110
