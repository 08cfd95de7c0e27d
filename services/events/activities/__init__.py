"""Activities 活动: from the draft to the settlement."""
