// Tables that are wider than the page can be scrolled with the keyboard too.
const reach = () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap, pre > code, .mermaid")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0
    else table.removeAttribute("tabindex")
  }
}
document$.subscribe(reach)
addEventListener("resize", reach)
