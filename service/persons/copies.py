"""Where an erasure does not reach: what its report tells who must see to the rest. docs/erasure.md says it in full."""

from __future__ import annotations

from service.endpoints import Answer


class Copy(Answer, frozen=True, kw_only=True):
    """A place outside of the log, what of the person may be there, and what is to be done about it."""

    place: str
    holds: str
    remedy: str


COPIES = (
    Copy(
        place="backups of the database",
        holds="the key and the row of users, as they were: with both, everything can be read",
        remedy="delete those made before the erasure, or keep the list of `report-builder persons erasures` and apply"
        " it with `report-builder persons erase-again` after a restore",
    ),
    Copy(
        place="readers of the event stream, and exports",
        holds="ciphertext alone, which nobody can read any more",
        remedy="none",
    ),
    Copy(
        place="clients of the API",
        holds="answers that they have kept, with the text",
        remedy="delete what pages, scripts and spreadsheets have kept",
    ),
    Copy(
        place="Amazon",
        holds="values of personal parameters, with the executions that were run with them",
        remedy="ask Amazon for what it keeps",
    ),
    Copy(
        place="the store of results",
        holds="rows that the SQL has made with values of personal parameters, if it selects them",
        remedy="delete the results of collections whose SQL does",
    ),
    Copy(
        place="events of before personal text was sealed",
        holds="reasons in the open",
        remedy="none: the log is never changed; docs/erasure.md says since when",
    ),
    Copy(
        place="the issuer of credentials",
        holds="the account that the person signs in with",
        remedy="delete it there: who signs in with it again is a new person here",
    ),
)
