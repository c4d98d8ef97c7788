"""The component's exports: for each of the contract's hooks, componentize-py looks here for a class of its name.

It runs the imports while it builds and keeps what they made: a gateway has no files to import from, so that all
imports belong at the top of a module.
"""

%cost from cost import Cost
%routing from routing import Routing

__all__ = [
%cost     "Cost",
%routing     "Routing",
]
