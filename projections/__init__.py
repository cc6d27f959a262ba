"""Read models: one module per model, the runner that keeps them up, rebuild and verify.

No projected column has a source but events.
"""
