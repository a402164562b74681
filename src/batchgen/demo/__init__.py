"""The embedded models: small enough to ship, real enough to show every feature of the runner.

`drawings` is the world they know, `judge` says whether a picture shows what a prompt asked for,
`train` makes the models and `evaluate` measures them. Only the last two need torch.
"""
