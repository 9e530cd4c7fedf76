"""Named formulas and controls: read only, as in Coda's API."""

from __future__ import annotations

from typing import Any, Literal

from starlette.responses import Response

from local.coda.call import Call, Paged, Query, by_key, operation
from local.coda.model import Control, Doc, Formula
from local.coda.references import doc_url, parent
from local.coda.wire import answer


class NamedQuery(Paged):
    sort_by: Literal["name"] | None = None


def formula_reference(api: str, doc: Doc, formula: Formula) -> dict[str, Any]:
    return {
        "id": formula.formula_id,
        "type": "formula",
        "href": f"{doc_url(api, doc)}/formulas/{formula.formula_id}",
        "name": formula.name,
        **parent(api, doc, formula.page_id),
    }


def control_reference(api: str, doc: Doc, control: Control) -> dict[str, Any]:
    return {
        "id": control.control_id,
        "type": "control",
        "href": f"{doc_url(api, doc)}/controls/{control.control_id}",
        "name": control.name,
        **parent(api, doc, control.page_id),
    }


async def list_formulas(call: Call[NamedQuery]) -> Response:
    doc = call.doc()
    found = list(doc.formulas.values())
    if call.query.sort_by:
        found.sort(key=lambda one: one.name.lower())
    return answer(call.listing(found, lambda one: formula_reference(call.api, doc, one)))


async def get_formula(call: Call[Query]) -> Response:
    doc = call.doc()
    formula = by_key(doc.formulas, call.path["formula"], "formula")
    return answer(formula_reference(call.api, doc, formula) | {"value": formula.compute(doc)})


async def list_controls(call: Call[NamedQuery]) -> Response:
    doc = call.doc()
    found = list(doc.controls.values())
    if call.query.sort_by:
        found.sort(key=lambda one: one.name.lower())
    return answer(call.listing(found, lambda one: control_reference(call.api, doc, one)))


async def get_control(call: Call[Query]) -> Response:
    doc = call.doc()
    control = by_key(doc.controls, call.path["control"], "control")
    more = {"controlType": control.type, "value": control.value}
    return answer(control_reference(call.api, doc, control) | more)


ROUTES = [
    operation("GET", "/docs/{doc}/formulas", list_formulas, query=NamedQuery),
    operation("GET", "/docs/{doc}/formulas/{formula}", get_formula),
    operation("GET", "/docs/{doc}/controls", list_controls, query=NamedQuery),
    operation("GET", "/docs/{doc}/controls/{control}", get_control),
]
