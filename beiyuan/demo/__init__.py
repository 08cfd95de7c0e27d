"""The demo town: a subdistrict with its people, places, orders, activities and rewards, all of them invented.

`town` describes it, purely; `load` writes it through the services' own actions; `show` tells who and what is in it.
Whatever is derived here is derived from stable keys, so a town that grows keeps its ids, names, phones and codes.
"""
