"""An auditor's job, and that of an analyst who asks who has changed what: in the browser, and then offline."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Locator, expect

from events.tree.heads import head_of
from events.tree.merkle import leaf_hash, verify_inclusion
from events.tree.notes import parse_verifier_key
from events.tree.proofs import parse_proof
from tests.ui.browsing import Tab
from tests.ui.ground import Ground
from tests.ui.scenes import BEHIND, answer, changed

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.chromium]


async def verify(*arguments: object) -> tuple[int, str]:
    """The verifier, as an auditor runs it: with nothing of the service."""
    program = shutil.which("report-builder-verify")
    assert program
    process = await asyncio.create_subprocess_exec(
        program, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def kept(tab: Tab, button: Locator, folder: Path) -> Path:
    """The file that a click downloads."""
    async with tab.page.expect_download() as download:
        await button.click()
    found = await download.value
    file = folder / found.suggested_filename
    await found.save_as(file)
    return file


async def key_of(ground: Ground) -> str:
    """The log's public key, which an auditor has from the operator."""
    return str((await ground.service.read("/api/audit/log"))["keys"][0]["key"])


async def signed(ground: Ground, position: int) -> None:
    await ground.service.read(f"/api/audit/proof/{position}")


def difference(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("listitem").filter(has_text=re.compile(rf"(Added|Changed|Removed){re.escape(name)}"))


async def test_the_two_parameter_steps_of_a_report_are_held_against_each_other(tab: Tab, ground: Ground) -> None:
    page = tab.page
    _, positions = await changed(ground, "Who changed it")
    await tab.open("/audit")
    await page.get_by_role("table", name="Events").get_by_role("link", name="Who changed it").first.click()
    await tab.on("Who changed it")
    await expect(page.get_by_text("Event 3 of 3: Parameters saved")).to_be_visible()
    await expect(page.get_by_text(re.compile("^Local person, ")).first).to_be_visible()

    await expect(difference(tab, "Window of each run: value")).to_have_text(re.compile("Changed.*was 7is 14"))
    asins = difference(tab, "Parameters: asins")
    await expect(asins).to_contain_text("2 new values: B000000003, B000000004")
    await expect(asins).to_contain_text("1 value gone: B000000001")
    await expect(difference(tab, "Parameters: least_clicks")).to_have_text(re.compile("Added.*25"))

    slider = page.get_by_role("slider", name="Event")
    await slider.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_text("Event 2 of 3: Parameters saved")).to_be_visible()
    await expect(slider).to_have_attribute(
        "aria-valuetext", re.compile("Event 2 of 3: Parameters saved, Local person, ")
    )
    await expect(page).to_have_url(re.compile(rf"\?at={positions[1]}$"))
    stood = page.get_by_role("region", name="How it stood")
    await expect(stood).to_contain_text("The last 7 days")
    await expect(stood).to_contain_text("B000000001, B000000002")

    # The same for whoever is given the address, and from the last event back to the first.
    await page.reload()
    await expect(page.get_by_text("Event 2 of 3: Parameters saved")).to_be_visible()
    await tab.button("The event after").click()
    await page.get_by_role("button", name=re.compile("Compare with")).click()
    await page.get_by_role("option", name="Event 1: Report begun").click()
    await expect(page.get_by_role("heading", name="What is different since event 1")).to_be_visible()
    await expect(page).to_have_url(re.compile(rf"compare={positions[0]}"))


async def test_a_moment_of_the_past_is_looked_at_and_a_later_event_moves_nothing(tab: Tab, ground: Ground) -> None:
    page = tab.page
    stream, positions = await changed(ground, "As of then")
    path = stream.replace("-", "s/", 1)
    await tab.open(f"/{path}")
    await page.get_by_role("link", name="Continue with schedule").wait_for()
    await page.get_by_role("link", name="Activity").click()
    await expect(page.get_by_text("Event 3 of 3: Parameters saved")).to_be_visible()
    await ground.service.done(f"/api/{path}/schedule", {"schedule_type": "once"})
    await tab.button("1 newer event").wait_for()
    await expect(page.get_by_text("Event 3 of 4: Parameters saved")).to_be_visible()
    await tab.button("1 newer event").click()
    await expect(page.get_by_text("Event 4 of 4: Schedule saved")).to_be_visible()

    event = await ground.service.read(f"/api/audit/activity?stream={stream}&order=oldest&limit=1")
    await tab.open(f"/audit/history/{stream}?time={event['items'][0]['recorded_at']}")
    await expect(page.get_by_text("Event 1 of 4: Report begun")).to_be_visible()
    await tab.button("Show it as of then").click()
    await expect(page).to_have_url(re.compile(r"time=\d{4}-"))
    await tab.open(f"/audit/history/{stream}?time=2020-01-01T00:00:00Z")
    await page.get_by_role("heading", name="It was not there yet").wait_for()
    assert len(positions) == 3

    # Where a slider would be too long, the log has all events of the thing, and of it alone.
    await tab.open(f"/audit?stream={stream}&order=oldest")
    rows = page.get_by_role("table", name="Events").get_by_role("row")
    await expect(rows.nth(4)).to_contain_text("Schedule saved")
    await expect(rows).to_have_count(5)
    await page.get_by_role("button", name="Only of Report As of then").click()
    await expect(rows.nth(5)).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/audit\?order=oldest$"))


async def test_events_are_found_and_newer_ones_wait_until_they_are_asked_for(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await changed(ground, "Found again")
    await tab.open("/audit")
    rows = page.get_by_role("table", name="Events").get_by_role("row")
    await expect(rows.nth(1)).to_contain_text("Found again")
    await page.get_by_text("More filters").click()
    await page.get_by_role("button", name=re.compile("^Step|Step$")).click()
    await page.get_by_role("option", name="Parameters").click()
    await expect(page).to_have_url(re.compile("step=parameters"))
    await expect(rows.nth(1)).to_contain_text("Parameters saved")
    await expect(page.get_by_role("link", name="Report begun")).to_have_count(0)
    await page.reload()
    await expect(rows.nth(1)).to_contain_text("Parameters saved")
    await ground.with_parameters("Came later")
    await tab.button("1 newer event").wait_for()
    await expect(page.get_by_text("Came later")).to_have_count(0)
    await tab.button("1 newer event").click()
    await expect(rows.nth(1)).to_contain_text("Came later")
    await expect(page.get_by_role("button", name="newer event")).to_have_count(0)
    await page.get_by_role("link", name="Show everything again").click()
    await page.get_by_role("link", name="Report begun").first.wait_for()
    await tab.chip("Oldest first").click()
    await expect(rows.nth(1)).to_contain_text(re.compile(r"\b1$"))


async def test_an_events_proof_is_downloaded_and_holds(tab: Tab, ground: Ground, tmp_path: Path) -> None:
    page = tab.page
    _, positions = await changed(ground, "To be proven")
    position = positions[-1]
    await signed(ground, position)
    await tab.open(f"/audit/events/{position}")
    await tab.on("Parameters saved")
    await expect(page.get_by_role("region", name="The event’s content as JSON")).to_contain_text('"B000000004"')
    await expect(page.get_by_text("It is in the signed tree of")).to_be_visible()
    await expect(page.get_by_text("Your browser has worked that out")).to_be_visible()

    file = await kept(tab, tab.button("Download the proof"), tmp_path)
    assert file.name == f"{position}.tlog-proof"
    proof = parse_proof(file.read_text())
    assert proof.head.verified([parse_verifier_key(await key_of(ground))])
    head, leaf = head_of(proof.head), proof.extra
    assert leaf is not None
    assert msgspec.json.decode(leaf)["position"] == position
    assert verify_inclusion(position - 1, head.size, leaf_hash(leaf), proof.hashes, head.root)

    answered: Any = msgspec.json.decode((await kept(tab, tab.button("Proof as JSON"), tmp_path)).read_bytes())
    assert (answered["position"], answered["leaf"]) == (position, leaf.decode())


async def test_an_event_that_is_not_signed_yet_is_tried_again(tab: Tab, ground: Ground) -> None:
    _, positions = await changed(ground, "Just now")
    await answer(tab, "**/api/audit/proof/*", BEHIND, 503)
    await tab.open(f"/audit/events/{positions[-1]}")
    await tab.page.get_by_role("heading", name="It is recorded, but not signed yet").wait_for()
    await tab.page.unroute("**/api/audit/proof/*")
    await tab.button("Try again").click()
    await tab.button("Download the proof").wait_for()


async def test_the_whole_log_is_exported_and_verified_offline(tab: Tab, ground: Ground, tmp_path: Path) -> None:
    page = tab.page
    _, positions = await changed(ground, "To be exported")
    await signed(ground, positions[-1])
    await tab.open("/audit")
    head = await kept(tab, page.get_by_role("link", name="Keep this tree head"), tmp_path)
    await page.get_by_role("link", name="Export and verify").click()
    await tab.on("Export the log")
    bundle = await kept(tab, tab.button("Download the bundle"), tmp_path)
    await page.get_by_text(f"The download of {bundle.name} has begun").wait_for()
    key = await key_of(ground)
    await expect(page.get_by_text(f"report-builder-verify {bundle.name} --key '{key}'")).to_be_visible()
    code, said = await verify(bundle, "--key", key, "--head", head)
    assert code == 0, said

    await page.get_by_label("From event no.").fill("2")
    await page.get_by_label("To event no.").fill("5")
    part = await kept(tab, tab.button("Download the bundle"), tmp_path)
    await expect(page.get_by_text("--from 2 --to 5")).to_be_visible()
    code, said = await verify(part, "--key", key, "--from", 2, "--to", 5)
    assert code == 0, said


async def test_a_part_that_is_not_there_is_refused_beside_its_remedy(tab: Tab, ground: Ground) -> None:
    page = tab.page
    await tab.open("/audit/export")
    await page.get_by_label("From event no.").fill("9")
    await page.get_by_label("To event no.").fill("5")
    await tab.button("Download the bundle").click()
    await expect(page.get_by_text("This is before the first event that you chose.")).to_be_visible()
    await page.get_by_label("To event no.").fill("999999999")
    await tab.button("Download the bundle").click()
    await page.get_by_role("heading", name="There is nothing here").wait_for()
    await expect(page.get_by_text("The log ends at position")).to_be_visible()


async def test_who_may_not_read_the_log_is_told_so_and_offered_nothing(tab: Tab, ground: Ground) -> None:
    page = tab.page
    session = await ground.service.read("/auth/session")
    await answer(tab, "**/auth/session", session | {"scopes": ["reports:write", "events:read"]})
    path = await ground.begun("Of somebody else")
    await tab.open(path)
    await tab.on("Of somebody else")
    for name in ("Audit", "Activity"):
        await expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)
    for address in ("/audit", "/audit/events/1", "/audit/export", f"/audit/history/{path[1:].replace('s/', '-')}"):
        await tab.open(address)
        await page.get_by_role("heading", name="You may not read the audit log").wait_for()
