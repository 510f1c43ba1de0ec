"""What trials come to: coefficients with their uncertainty, axes compared, charts and pages. Values in, values out.

| room | holds |
|---|---|
| ``networks``, ``stopped`` | outcomes pooled into networks; how trials that were stopped early might have ended |
| ``simplex``, ``mixture``, ``surface`` | the triangle of shares; the regression over it; the fitted surface |
| ``coefficients`` | alpha, beta, gamma: their ``analysis``, its ``result``, and ``sentences`` on what that is worth |
| ``axes`` | rules at equal cost: ``comparison``, its ``contrasts``, its ``sentences`` |
| ``page`` | either one as a page, with its charts and tables |
| ``wording`` | numbers as all of these say them |
"""

__all__: list[str] = []
