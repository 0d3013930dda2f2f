from worker.ledger.model import Options, names_of


def test_a_row_asks_for_its_own_names_and_for_those_of_the_command() -> None:
    """Its own come first, and a name that both have is asked for once."""
    options = Options(named={"groups": ["IT", "Partners"]})
    assert names_of({"groups": ["Partners", "HR"]}, options, "groups") == ("Partners", "HR", "IT")
    assert names_of({}, options, "groups") == ("IT", "Partners")
    assert names_of({"groups": ["HR"]}, options, "teams") == ()
