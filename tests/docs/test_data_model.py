from __future__ import annotations

import runpy

from tests.support.project import ROOT


def test_the_page_of_tables_is_what_the_schemas_and_the_catalog_say() -> None:
    module = runpy.run_path(str(ROOT / "docs" / "render_data_model.py"))
    page = module["PAGE"].read_text(encoding="utf-8")
    assert page == module["render"](), "run python docs/render_data_model.py"
    assert "`problems`" in page
