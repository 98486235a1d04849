"""Keys: how templates, functions and arguments become keys, and where things lie on the server.

=============  =================================================================================
`template`     `product:{product_id}`, rendered and escaped
`formatters`   `{email:lower}`: what a field may go through on its way into a key
`ambient`      `{@tenant}`: fields that come from the context instead of the arguments
`canonical`    one digest of any arguments, for functions that are given no template
`keyspace`     the names of a namespace's things on the server
=============  =================================================================================
"""

from __future__ import annotations

from staleproof.keys.ambient import ambient
from staleproof.keys.formatters import formatter
from staleproof.keys.keyspace import MAX_KEY_BYTES, Keyspace
from staleproof.keys.template import SCOPE, Field, Template, attribute, key, template

__all__ = [
    "MAX_KEY_BYTES",
    "SCOPE",
    "Field",
    "Keyspace",
    "Template",
    "ambient",
    "attribute",
    "formatter",
    "key",
    "template",
]
