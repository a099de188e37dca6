"""The command ``cocoon sim``; `cocoon` finds it through the entry points `cocoon.commands`."""
