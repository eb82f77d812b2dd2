"""Adapters: one module for each library, imported only when the library is asked for."""
