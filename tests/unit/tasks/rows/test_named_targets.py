import pytest

from tasks.rows.named_targets import split_targets

ID = "9f0b5e2c-0000-4000-8000-00000000000"


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Partners", ["Partners"]),
        ("Partners; IT ;;", ["Partners", "IT"]),
        ("Partners\r\nIT\nHR", ["Partners", "IT", "HR"]),
        ("Finance, Oslo", ["Finance, Oslo"]),
        ("Finance, Oslo; IT", ["Finance, Oslo", "IT"]),
        (f"{ID}1, {ID}2", [f"{ID}1", f"{ID}2"]),
        ("eva@contoso.example, bob@contoso.example,", ["eva@contoso.example", "bob@contoso.example"]),
        (f"eva@contoso.example,{ID}1; Partners", ["eva@contoso.example", f"{ID}1", "Partners"]),
        ("Lee, ann@contoso.example", ["Lee, ann@contoso.example"]),
        (" ; ", []),
        (",", []),
    ],
)
def test_a_comma_parts_only_what_holds_none(cell: str, names: list[str]) -> None:
    """Ids and addresses are parted by a comma; in a name it is a letter like others."""
    assert split_targets(cell) == names
