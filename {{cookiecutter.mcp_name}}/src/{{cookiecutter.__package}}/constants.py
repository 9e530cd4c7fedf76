{#- tojson would write characters beyond U+FFFF as surrogate pairs, which Python does not join. -#}
{%- macro text(value) -%}
"{{ value | replace('\\', '\\\\') | replace('"', '\\"') }}"
{%- endmacro -%}
"""The answers this server was made with."""

from typing import Final, Literal

NAME: Final = {{ cookiecutter.mcp_name | tojson }}
TITLE: Final = {{ text(cookiecutter.title) }}
DESCRIPTION: Final = {{ text(cookiecutter.description) }}
SCOPE_PREFIX: Final = {{ cookiecutter.__prefix | tojson }}
PUBLIC_URL: Final = {{ cookiecutter.public_url | tojson }}
UPSTREAM_URL: Final = {{ cookiecutter.upstream_url | tojson }}
UPSTREAM_AUTH: Final[Literal["none", "bearer"]] = {{ cookiecutter.upstream_auth | tojson }}
