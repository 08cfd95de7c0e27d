"""People 居民 and households 家庭, a person living alone being a household of one."""
