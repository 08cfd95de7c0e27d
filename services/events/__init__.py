"""Activities 宝贝计划, who signed up for them, and who took part."""
