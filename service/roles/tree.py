"""The role tree: it takes the log into the transparency log's tree, signs its heads, and takes them outside."""

from __future__ import annotations

from functools import partial

from service.roles.process import Process
from service.tree.places import HeadCarrier, places_of
from service.tree.readings import tree_reading
from service.tree.signer import TreeSigner


async def start(process: Process) -> None:
    settings, pool = process.settings, process.pool
    folder = settings.tree_folder or settings.data_dir / "tree"
    signer = TreeSigner(pool, folder, name=settings.tree_name, interval=settings.tree_interval)
    task = process.start("tree", signer.run())
    process.drain.add("tree", partial(signer.rounds.stop, task))
    process.health.rounds["tree"] = signer.rounds
    process.health.check("tree", lambda: signer.refused)
    carriers = [HeadCarrier(pool, place, folder) for place in places_of(settings)]
    for carrier in carriers:
        process.start(f"tree heads to {carrier.place}", carrier.run())
    process.scrape.add_reading("tree", tree_reading(pool, signer, carriers))
