"""The texts of `coda_guide`. What is UNCONFIRMED about Coda is marked so."""

from __future__ import annotations

GUIDES = {
    "overview": """\
A doc has pages (a tree), pages hold text and tables, a table has columns and rows; a view is another look at a table.
1. Find: search for names, coda_list_docs, coda_resolve_link for a link that a person gave.
2. Look: coda_get_doc_outline shows pages, tables and columns at once; coda_describe_table one table with examples.
3. Read: coda_read_page, coda_list_rows for one condition, coda_search_rows for several or for text.
4. Write: coda_upsert_rows, coda_append_page_content and so on. See the guide "changes".
Use IDs (canvas-, grid-, c-, i-): names work in most places, but two things may have the same name, and names change.
Topics: rows, pages, tables, changes, limits, errors, not_possible.""",
    "rows": """\
Values by column name, for example {"Task": "Call Ada", "Due": "2026-12-31", "Tags": ["urgent", "home"]}.
- Dates in ISO 8601; people by e-mail address; a select by the option's name; a relation by the row ID (i-...) or
  exactly what the other row displays: other text stays as text, without an error.
- Images and files by a public URL. Columns of the type canvas take plain text. Calculated columns and buttons take
  none.
- coda_upsert_rows with key_columns updates the rows that are equal there, all of them, and inserts the others:
  repeating it adds nothing. Without key_columns every call adds rows. Only base tables take rows, views do not.
- A row has at most 85 KB, a request 2 MB; more rows are sent in parts of 100, and the result tells about each part.
- coda_list_rows finds rows where one column equals a value; for parts of words use coda_search_rows.""",
    "pages": """\
- coda_read_page gives Markdown, HTML or plain text in windows: go on at next_start. Subpages are pages of their own.
- Only canvas pages have content to read; embeds, synced pages and full-page tables cannot be exported.
- Write HTML when there is a table: Markdown tables lose their header. Do not write back what was read, tables and
  widgets do not survive that. Change one element instead: coda_list_page_elements, then coda_replace_page_content
  with its ID.
- Replacing or deleting a whole page is refused while it holds tables, controls or formulas that may_lose does not
  name.
- A page's parent is chosen when it is created; it cannot be moved.""",
    "tables": """\
- coda_create_table adds a table with text columns to a page, through HTML: Coda's API has no operation for tables.
- Types, formulas, options and views can be changed only in Coda itself.
- coda_list_tables shows views too: table_type tells which, parent_table_id of which table.""",
    "changes": """\
Coda accepts a change at once and applies it 10 to 20 seconds later. Tools wait for that, up to a minute, and then
answer "applied", "applied_with_warning" (read the warning to the person), or "pending": accepted, not applied yet.
Pending is not failed: do not write again, ask coda_get_mutation_status. Coda has no "failed": look at the result if
it matters. Reading a doc through this server waits for what was changed through it. What other programs, people, or
other replicas of this server change is seen when Coda shows it, usually within half a minute.""",
    "limits": """\
Coda counts by user and IP address, over all docs and programs: reading 100 requests in 6 s, writing 10 in 6 s, writing
into docs 5 in 10 s (its help pages say 3; UNCONFIRMED which holds), listing docs 4 in 6 s. This server stays below
that and waits before it sends. What would wait too long is refused at once with retry_after, and nothing is sent.
Many rows in one coda_upsert_rows cost one request for each 100 rows; coda_update_rows costs one for each row.
Docs larger than 125 MB are not reachable by the API.""",
    "errors": """\
An error has: error (a word), status_code and coda_message if Coda answered, retryable, retry_after in seconds, hint.
- not_found: wrong ID, or created a moment ago and not visible yet.
- forbidden: the API token is restricted, or its user may not: creating docs and renaming need a Doc Maker.
- rate_limited: nothing was done. Wait.
- timeout, unreachable: for inserts, buttons and automations it is unknown whether it was done: look before repeating.
- would_lose: nothing was done. Ask the person, then allow it.
- not_allowed: this server is limited to certain docs.""",
    "not_possible": """\
Coda's API cannot do these, so there are no tools for them. A person does them in Coda itself, or Coda's own MCP server
(docs.superhuman.com/apis/mcp) may:
- comments; - creating or changing columns, views, filters, column types and formulas; - evaluating a formula (put it
  into a doc and read it with coda_get_formula); - changing the value of a control; - listing automations (their IDs
  are in Coda's menu of the automation); - listing workspaces (coda_whoami names one); - moving a page; - full-text
  search;
- uploading images and files (give a public URL); - transactions, undo.
Packs are left out on purpose: making them is another trade, and their operations would double the tools here.""",
}
