"""Session descriptions (RFC 8866): offers of browsers are read strictly, answers written by us.

Only what JSEP (RFC 8829) lets a browser offer over one bundled transport is understood; everything
else is refused by the number and name of the line it stands on.
"""
