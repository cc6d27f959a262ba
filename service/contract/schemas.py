"""JSON Schema 2020-12 of our structs, from the type information that `events.validation` reads them by.

What a request's schema allows the reader accepts, and the reverse, as far as JSON Schema can say it: rules
across fields are the exception, and text in a struct's description. For requests that is more than msgspec's own
schemas say: null is as good as absent, no text holds U+0000, and integers have the bounds of a BIGINT.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from events.validation import STORED_INTEGERS, Body
from events.validation_words import extra_of
from service.endpoints import Answer, Query

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}

STORABLE_TEXT = "^[^\\u0000]*$"
"""Lone surrogates need no pattern: no JSON in UTF-8 has them."""


class Schemas:
    """Collects the schemas of structs, each one once under its name, and refers to them from there.

    Whether a struct is one of requests decides its form: give those first. Raises TypeError for what the
    reader does not check, and for two structs of one name.
    """

    def __init__(self, at: str = "#/components/schemas/") -> None:
        self.components: dict[str, Schema] = {}
        self._at = at
        self._sources: dict[str, object] = {}

    def of_request(self, kind: Any) -> Schema:
        """The schema of what a client may send."""
        return self._of(inspect.type_info(kind), sent=True)

    def of_answer(self, kind: Any) -> Schema:
        """The schema of what the service writes."""
        return self._of(inspect.type_info(kind), sent=False)

    def of_query(self, struct: type[Query]) -> Iterator[tuple[str, bool, Schema]]:
        """Each field of what a query string may say: its name, whether it must be given, its schema. There
        nothing is null: what is not given is left out."""
        kind = inspect.type_info(struct)
        assert isinstance(kind, inspect.StructType)
        for field in kind.fields:
            yield field.encode_name, field.required, _with_default(self._of(_without_null(field.type), True), field)

    def _of(self, kind: inspect.Type, sent: bool) -> Schema:
        match kind:
            case inspect.Metadata():
                return self._annotated(kind, sent)
            case inspect.StructType():
                return self._struct(kind, sent)
            case inspect.UnionType():
                return self._union(kind, sent)
            case inspect.ListType() | inspect.VarTupleType():
                bounds = _given(minItems=kind.min_length or None, maxItems=kind.max_length)
                return {"type": "array", "items": self._of(kind.item_type, sent), **bounds}
            case inspect.DictType():
                return self._dict(kind, sent)
            case inspect.LiteralType():
                return {"enum": list(kind.values)}
            case inspect.IntType():
                return _number("integer", kind, *(STORED_INTEGERS if sent else (None, None)))
            case inspect.FloatType():
                return _number("number", kind, None, None)
            case inspect.StrType():
                pattern = kind.pattern or (STORABLE_TEXT if sent else None)
                bounds = _given(minLength=kind.min_length or None, maxLength=kind.max_length, pattern=pattern)
                return {"type": "string", **bounds}
            case inspect.DateTimeType(tz=False):
                return dict(_LOCAL_TIME)
        if (plain := _PLAIN.get(type(kind))) is None:
            raise TypeError(f"{type(kind).__name__} has no schema here, as the reader of requests does not know it")
        return dict(plain)

    def _annotated(self, kind: inspect.Metadata, sent: bool) -> Schema:
        """With what its `Meta` adds; under a name of its own where `Meta(extra={"component": …})` gives one."""
        schema = self._of(kind.type, sent) | (kind.extra_json_schema or {})
        name = extra_of(kind).get("component")
        if not name:
            return schema
        self._claim(name, schema)
        self.components[name] = schema
        return {"$ref": self._at + name}

    def _struct(self, kind: inspect.StructType, sent: bool) -> Schema:
        name = kind.cls.__name__
        self._claim(name, kind.cls)
        if name not in self.components:
            self.components[name] = {}  # is there while its fields are looked at: one may hold the struct itself
            self.components[name] = self._object(kind, sent)
        return {"$ref": self._at + name}

    def _claim(self, name: str, source: object) -> None:
        if self._sources.setdefault(name, source) != source:
            raise TypeError(f"two schemas are named {name}: {self._sources[name]} and {source}; rename one")

    def _object(self, kind: inspect.StructType, sent: bool) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        if kind.tag_field is not None:
            properties[kind.tag_field] = {"const": kind.tag}
            required.append(kind.tag_field)
        # An answer is written with all of its fields; an event of an older release may lack later ones.
        whole = issubclass(kind.cls, Answer) and not kind.cls.__struct_config__.omit_defaults
        for field in kind.fields:
            properties[field.encode_name] = self._of(field.type, sent=False) if whole else self._field(field, sent)
            if field.required or (whole and not _may_be_unset(field)):
                required.append(field.encode_name)
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if kind.forbid_unknown_fields:
            schema["additionalProperties"] = False
        if doc := kind.cls.__dict__.get("__doc__"):
            schema["description"] = cleandoc(doc)
        if issubclass(kind.cls, Body):
            schema |= kind.cls.json_schema
        return schema

    def _field(self, field: inspect.Field, sent: bool) -> Schema:
        schema = self._of(field.type, sent)
        if sent and not field.required:
            schema = _nullable(schema)
        return _with_default(schema, field)

    def _union(self, kind: inspect.UnionType, sent: bool) -> Schema:
        others = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        schemas = [self._of(option, sent) for option in others]
        tagged = [option for option in others if isinstance(option, inspect.StructType) and option.tag_field]
        if len(schemas) == 1:
            schema = schemas[0]
        elif len(tagged) == len(others):
            mapping = {str(option.tag): one["$ref"] for option, one in zip(tagged, schemas, strict=True)}
            schema = {
                "oneOf": schemas,
                "discriminator": {"propertyName": tagged[0].tag_field, "mapping": mapping},
            }
        else:
            schema = {"anyOf": schemas}
        return _nullable(schema) if len(others) < len(kind.types) else schema

    def _dict(self, kind: inspect.DictType, sent: bool) -> Schema:
        values, names = self._of(kind.value_type, sent), self._of(kind.key_type, sent)
        return {
            "type": "object",
            "additionalProperties": _nullable(values) if sent and values else values,
            **_given(propertyNames=names if sent else None),
        }


def _may_be_unset(field: inspect.Field) -> bool:
    """Whether the field is left out where it is UNSET: such a one is not required and yet has no default."""
    return (field.required, field.default, field.default_factory) == (False, msgspec.NODEFAULT, msgspec.NODEFAULT)


def _with_default(schema: Schema, field: inspect.Field) -> Schema:
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    if default is msgspec.NODEFAULT or default is None:
        return schema
    return {**schema, "default": msgspec.json.decode(msgspec.json.encode(default))}


def _without_null(kind: inspect.Type) -> inspect.Type:
    if not isinstance(kind, inspect.UnionType):
        return kind
    others = tuple(option for option in kind.types if not isinstance(option, inspect.NoneType))
    return others[0] if len(others) == 1 else inspect.UnionType(others)


def _nullable(schema: Schema) -> Schema:
    """The schema, or null; the same where it allows null already."""
    if not schema or _NULL in schema.get("anyOf", ()):
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], _NULL]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]} if None not in schema["enum"] else schema
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return schema if "null" in schema.get("type", ()) else {"anyOf": [schema, _NULL]}


def _number(name: str, kind: Any, lowest: int | None, highest: int | None) -> Schema:
    if kind.gt is not None or kind.lt is not None or kind.multiple_of is not None:
        raise TypeError("the reader of requests checks ge and le alone: say it with those")
    bounds = _given(minimum=lowest if kind.ge is None else kind.ge, maximum=highest if kind.le is None else kind.le)
    wide = name == "integer" and (kind.le is None or kind.le >= 2**31)
    return {"type": name, **({"format": "int64"} if wide else {}), **bounds}


def _given(**keywords: Any) -> Schema:
    return {name: value for name, value in keywords.items() if value is not None}


# JSON Schema's date-time has an offset; a local time has none.
_LOCAL_TIME: Schema = {
    "type": "string",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?$",
}
_PLAIN: dict[type, Schema] = {
    inspect.BoolType: {"type": "boolean"},
    inspect.NoneType: {"type": "null"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
    inspect.AnyType: {},
    inspect.RawType: {},
}
