"""Read models: one module per model, the runner that keeps them up, and rebuild.

No projected column has a source but events.
"""
