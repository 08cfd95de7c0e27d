"""The page of a shop without a till 商家核销: `/shop`, for clerks and managers who are signed in by a cookie."""
