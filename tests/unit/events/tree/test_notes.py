"""The examples of c2sp.org/signed-note and c2sp.org/tlog-checkpoint, and those of Go's golang.org/x/mod/sumdb."""

from __future__ import annotations

import pytest

from events.tree.heads import TreeHead, epoch_of, head_of, origin_of
from events.tree.merkle import leaf_hash
from events.tree.notes import (
    COSIGNATURE,
    Note,
    NoteError,
    SigningKey,
    VerifierKey,
    parse_note,
    parse_signature,
    parse_verifier_key,
)
from events.tree.proofs import InclusionProof, parse_proof

EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
GO_SECOND = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
GO_TREE = "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n"
COSIGNED = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhc\
yv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX\
3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


def test_the_specifications_note_is_verified_by_its_key() -> None:
    key = parse_verifier_key(EXAMPLE_KEY)
    assert key.text == EXAMPLE_KEY
    assert parse_note(EXAMPLE).verified([key]) == [key]
    assert str(parse_note(EXAMPLE)) == EXAMPLE


def test_we_sign_as_go_does() -> None:
    key = SigningKey.parse(GO_SIGNER)
    assert (key.private_text, key.verifier.text) == (GO_SIGNER, GO_VERIFIER)
    text = GO_NOTE.rpartition("\n\n")[0] + "\n"
    assert str(Note(text, (key.sign(text),))) == GO_NOTE
    second = SigningKey.parse("PRIVATE+KEY+EnochRoot+af0cfe78+AQ" + "A" * 42)
    assert second.sign(text).line == GO_SECOND
    both = parse_note(GO_NOTE + GO_SECOND)
    assert both.verified([key.verifier, second.verifier]) == [key.verifier, second.verifier]
    assert both.verified([second.verifier]) == [second.verifier]


def test_no_part_of_a_key_and_no_altered_key_is_taken() -> None:
    for text, read in ((GO_VERIFIER, parse_verifier_key), (GO_SIGNER, SigningKey.parse)):
        for at in range(len(text)):
            altered = text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :]
            for wrong in (text[:at], text[at + 1 :], altered):
                with pytest.raises(NoteError):
                    read(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_key_of_another_length_or_kind_is_not_taken(text: str) -> None:
    with pytest.raises(NoteError):
        parse_verifier_key(text)


def test_a_known_key_whose_signature_does_not_hold_spoils_the_note_and_unknown_keys_do_not() -> None:
    key, other = SigningKey.generate("log.example"), SigningKey.generate("other.example")
    note = Note("a text\n", (other.sign("another text\n"), key.sign("a text\n")))
    assert note.verified([key.verifier]) == [key.verifier]
    with pytest.raises(NoteError, match=r"signature of other\.example does not hold"):
        note.verified([key.verifier, other.verifier])
    same_name = SigningKey.generate("log.example").verifier
    with pytest.raises(NoteError, match="none of the keys"):
        note.verified([same_name])


@pytest.mark.parametrize(
    "text",
    ["", "text\n", "text\n\n", "text\n\nline\n", EXAMPLE[:-1], EXAMPLE + "\n", EXAMPLE.replace("—", "-"),
     EXAMPLE.replace("example m", "\tm"), EXAMPLE.replace("aQM=", "aQN="), EXAMPLE.replace("foo Uw", "foo  Uw"),
     "text\n\n" + "— a AAAAAAA=\n" * 101],
)  # fmt: skip
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_note(text).verified([parse_verifier_key(EXAMPLE_KEY)])


def test_a_witness_signs_the_head_together_with_the_time() -> None:
    witness = SigningKey.generate("witness.example", COSIGNATURE)
    head = TreeHead("log.example", 5, leaf_hash(b"root"))
    signature = witness.cosign(head.text, 1679315147)
    assert parse_verifier_key(witness.verifier.text) == witness.verifier
    assert Note(head.text, (signature,)).verified([witness.verifier]) == [witness.verifier]
    for wrong in (head.text.replace("5", "6"), "cosignature/v1\ntime 1679315147\n" + head.text):
        with pytest.raises(NoteError):
            witness.verifier.verify(wrong, signature)
    later = signature.content[:7] + b"\xff" + signature.content[8:]
    with pytest.raises(NoteError):
        witness.verifier.verify(head.text, type(signature)(signature.name, signature.key_id, later))
    as_log = VerifierKey("witness.example", witness.verifier.public)
    assert not as_log.signed(signature)


def test_the_specifications_cosigned_head_is_read() -> None:
    note = parse_note(COSIGNED)
    head = head_of(note)
    assert (head.origin, head.size, head.text) == ("example.com/behind-the-sofa", 20852163, note.text)
    assert [signature.name for signature in note.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert int.from_bytes(note.signatures[1].content[:8], "big") == 1679315147
    assert str(note) == COSIGNED


def test_a_head_is_written_as_go_writes_one() -> None:
    assert TreeHead("go.sum database tree", 123456789012, leaf_hash(b"hello world")).text == GO_TREE


@pytest.mark.parametrize(
    "text",
    ["a\n5\n", "a\n05\n{root}\n", "a\n0x5\n{root}\n", "\n5\n{root}\n", "a\n5\nAAAA\n", "a\n5\n{root}\nextension\n",
     "a\n-1\n{root}\n", "a\n5\n{root}=\n", "a\n٥\n{root}\n"],
)  # fmt: skip
def test_what_is_no_head_is_refused(text: str) -> None:
    root = TreeHead("a", 5, leaf_hash(b"")).text.split("\n")[2]
    with pytest.raises(NoteError):
        head_of(Note(text.format(root=root)))


def test_each_epoch_has_an_origin_of_its_own() -> None:
    assert [origin_of("log.example", epoch) for epoch in (1, 2, 10)] == [
        "log.example", "log.example/epoch-2", "log.example/epoch-10",
    ]  # fmt: skip
    assert [epoch_of(origin_of("log.example", epoch), "log.example") for epoch in (1, 2, 10)] == [1, 2, 10]
    for origin in ("other", "log.example/epoch-1", "log.example/epoch-02", "log.example/epoch-", "log.example/2"):
        with pytest.raises(NoteError, match="none of the log"):
            epoch_of(origin, "log.example")


def test_a_proof_is_read_as_it_was_written() -> None:
    key = SigningKey.generate("log.example")
    head = TreeHead("log.example", 2, leaf_hash(b"root")).text
    note = Note(head, (key.sign(head),))
    for proof in (
        InclusionProof(0, (), note),
        InclusionProof(73894, (leaf_hash(b"a"), leaf_hash(b"b")), note, b'{"v":1}'),
    ):
        assert parse_proof(str(proof)) == proof
    assert str(proof).startswith("c2sp.org/tlog-proof@v1\nextra eyJ2IjoxfQ==\nindex 73894\n")
    for wrong in (str(proof).replace("v1", "v2", 1), str(proof).replace("index 73894", "index 073894"), str(note), ""):
        with pytest.raises(NoteError):
            parse_proof(wrong)


@pytest.mark.parametrize("line", ["", "— a", "— a ", "— a AAAA", "— a AAAAAA", "a AAAAAAA=", "— a+b AAAAAAA="])
def test_what_is_no_signature_line_is_refused(line: str) -> None:
    with pytest.raises(NoteError):
        parse_signature(line)
