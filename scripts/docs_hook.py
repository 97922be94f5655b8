"""What `make docs` does beyond MkDocs: links that leave docs/ lead to the repository, and no page loads anything from elsewhere."""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"(\]\()((?:\.\./)+[^)\s#]+)(#[^)\s]*)?(\))")
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"' >]+"
    r"|<link\b[^>]*\bstylesheet[^>]*\bhref=[\"']?(?:https?:)?//[^\"' >]+"
)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """A file of the repository is no page: its link leads to where the repository is."""
    docs = Path(config.docs_dir)
    here = (docs / page.file.src_uri).parent

    def led(found: re.Match[str]) -> str:
        target = (here / found[2]).resolve()
        if target.is_relative_to(docs):
            return found[0]
        if not target.exists():
            raise PluginError(f"{page.file.src_uri}: {found[2]} does not exist")
        kind = "tree" if target.is_dir() else "blob"
        return (
            f"{found[1]}{config.extra['repository']}/{kind}/main/{target.relative_to(ROOT)}{found[3] or ''}{found[4]}"
        )

    return OUTSIDE.sub(led, markdown)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Whoever reads the documentation is told to nobody."""
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri}: the page loads something from elsewhere: {found[0]}")
    return output
