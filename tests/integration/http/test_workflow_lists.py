"""Lists of workflows: search and pages, over workflows that nobody else makes."""

from __future__ import annotations

from tests.service import Service

CONTENT = {"name": "Values", "sql_query": "SELECT 1"}


async def test_lists_are_searched_by_name_and_paged_without_gaps(api: Service) -> None:
    names = [f"Reach {number}" for number in range(5)] + ["100% of it_", "über"]
    made = [await api.done("/api/workflows", {**CONTENT, "name": name}) for name in names]
    at = f"min_position={made[-1]['position']}"
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await api.read(f"/api/workflows?limit=2&{at}" + (f"&cursor={cursor}" if cursor else ""))
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        await api.done("/api/workflows", CONTENT)
    assert seen == names[::-1]

    async def search(text: str) -> list[str]:
        return [item["name"] for item in (await api.read(f"/api/workflows?search={text}"))["items"]]

    assert await search("REACH") == names[4::-1]
    assert await search("h%203") == ["Reach 3"]
    assert await search("0%25") == ["100% of it_"]
    assert await search("_") == ["100% of it_"]
    assert await search("%C3%9CBER") == ["über"]
    assert await search("nowhere") == []
    answer = await api.get("/api/workflows?cursor=nonsense")
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
