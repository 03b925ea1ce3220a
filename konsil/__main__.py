"""`python -m konsil`."""

import sys

from konsil.cli import main

sys.exit(main())
